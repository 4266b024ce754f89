//! Who may come in over the control channel, and what they may do: by the names in their certificates, and the file that says who
//! may do what, as it is now.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::{Extension, Request};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::{Router, body::Body};
use futures_util::FutureExt;
use tokio::sync::watch;
use tonic::Status;
use vmcp_core::access::{Access, Role};
use vmcp_manifest::{Source, read_access};
use vmcp_revision::Follows;
use vmcp_runtime::{Admission, Certified, Drain, regular_file};

/// How often the file is looked at: a right that was taken is gone within seconds.
const LOOK_TIME: Duration = Duration::from_secs(1);
/// How long somebody who may do nothing stays to hear so.
const REFUSED_TIME: Duration = Duration::from_secs(5);
/// The largest file: some ten thousand peers.
const FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Decides who may come in. Without a file everybody who reaches the listener may do everything: it is on loopback.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Option<watch::Receiver<Arc<Access>>>);

/// Who asks, as an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operator {
    /// As the log calls them.
    pub(crate) name: String,
    /// A certificate says so.
    pub(crate) is_certified: bool,
    /// `None`: nothing may be asked.
    pub(crate) role: Option<Role>,
}

impl Gate {
    /// For a listener on loopback without TLS.
    pub(crate) fn open_to_this_machine() -> Self {
        Self(None)
    }

    /// Reads the file, and again whenever it changes. One that cannot be used changes nothing, which is logged.
    ///
    /// # Errors
    /// It cannot be used now.
    pub(crate) fn by(file: &Path, drain: &Drain) -> anyhow::Result<Self> {
        let text = read(file)?;
        let (tell, access) = watch::channel(Arc::new(parse(file, &text)?));
        let (file, stop) = (file.to_owned(), drain.clone());
        drain.spawn(async move {
            tokio::select! {
                () = stop.stopped() => {}
                () = keep(file, text, tell) => {}
            }
        });
        Ok(Self(Some(access)))
    }

    /// What operators get to see. Each request carries an [`Operator`].
    pub(crate) fn operators(
        self,
        router: Router,
    ) -> impl Fn(Option<Arc<Certified>>) -> Admission + Clone + Send + 'static {
        let router = router.layer(middleware::from_fn(check));
        move |certified| {
            let router = router.clone();
            self.admit(
                certified,
                |who, access| {
                    let role = access.map_or(Some(Role::Admin), |access| access.operator(&who.names()));
                    Operator { name: who.to_string(), is_certified: access.is_some(), role }
                },
                |operator| router.layer(Extension(operator)),
            )
        }
    }

    /// What replicas get to see. Each request carries a [`Follows`].
    pub(crate) fn replicas(
        self,
        router: Router,
    ) -> impl Fn(Option<Arc<Certified>>) -> Admission + Clone + Send + 'static {
        move |certified| {
            let router = router.clone();
            self.admit(
                certified,
                |who, access| match access {
                    None => Follows::everything(),
                    Some(access) => match access.replica(&who.names()) {
                        None => Follows::nothing(),
                        Some(virtual_servers) => Follows::some(who.to_string(), virtual_servers),
                    },
                },
                |follows| router.layer(Extension(follows)),
            )
        }
    }

    /// It is over when what somebody may do has become something else: they come again, and get to see that.
    fn admit<T: Rights + PartialEq + Clone + Send + Sync + 'static>(
        &self,
        certified: Option<Arc<Certified>>,
        rights: impl Fn(&Who, Option<&Access>) -> T + Send + 'static,
        router: impl FnOnce(T) -> Router,
    ) -> Admission {
        let who = Who(certified);
        let Some(access) = &self.0 else {
            return Admission { router: router(rights(&who, None)), over: std::future::pending().boxed() };
        };
        let mut access = access.clone();
        let now = access.borrow_and_update().clone();
        let mine = rights(&who, Some(&now));
        let before = mine.clone();
        let has_none = mine.is_none();
        let over = async move {
            // Who may do nothing hears so, and does not stay.
            if has_none {
                return tokio::time::sleep(REFUSED_TIME).await;
            }
            while access.changed().await.is_ok() {
                let now = access.borrow_and_update().clone();
                if rights(&who, Some(&now)) != before {
                    return;
                }
            }
            // Nobody looks any more: the process stops.
            std::future::pending().await
        };
        Admission { router: router(mine), over: over.boxed() }
    }
}

/// What somebody may do.
trait Rights {
    /// Whether that is nothing.
    fn is_none(&self) -> bool;
}

impl Rights for Operator {
    fn is_none(&self) -> bool {
        self.role.is_none()
    }
}

impl Rights for Follows {
    fn is_none(&self) -> bool {
        *self == Self::nothing()
    }
}

/// Somebody with a certificate, or on this machine.
struct Who(Option<Arc<Certified>>);

impl Who {
    fn names(&self) -> Vec<String> {
        self.0.as_ref().map(|certified| certified.names.clone()).unwrap_or_default()
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Some(certified) => certified.fmt(f),
            None => f.write_str("somebody on this machine"),
        }
    }
}

/// Lets through what somebody's role allows, whatever is asked and however.
async fn check(Extension(operator): Extension<Operator>, request: Request, next: Next) -> Response {
    let needed = needed(request.uri().path());
    if needed.is_some() && operator.role >= needed {
        return next.run(request).await;
    }
    tracing::warn!(operator = operator.name, method = request.uri().path(), "refused");
    let why = match (operator.role, needed) {
        (None, _) => "this certificate may not ask anything here".to_owned(),
        (Some(_), None) => "there is nothing of that name".to_owned(),
        (Some(_), Some(role)) => format!("this needs the role `{}`", word(role)),
    };
    Status::permission_denied(why).into_http::<Body>()
}

/// The least role that may ask something; `None` for what nobody may.
pub(crate) fn needed(path: &str) -> Option<Role> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    match (service, method) {
        ("vmcp.v1.Control", "Get" | "GetCatalog" | "GetStatus" | "Watch" | "History" | "Diff")
        | ("grpc.health.v1.Health", "Check" | "Watch")
        | ("grpc.reflection.v1.ServerReflection", "ServerReflectionInfo") => Some(Role::Read),
        ("vmcp.v1.Control", "Apply") => Some(Role::Write),
        ("vmcp.v1.Control", "Delete" | "Rollback") => Some(Role::Admin),
        _ => None,
    }
}

/// As the file writes it.
pub(crate) const fn word(role: Role) -> &'static str {
    match role {
        Role::Read => "read",
        Role::Write => "write",
        Role::Admin => "admin",
    }
}

async fn keep(file: PathBuf, mut text: String, tell: watch::Sender<Arc<Access>>) {
    let (mut said, mut seen) = (None, None);
    loop {
        tokio::time::sleep(LOOK_TIME).await;
        let new = match read(&file) {
            Ok(new) if new == text => continue,
            // Part of a file that is being written may give more than all of it: what is taken has been seen twice.
            Ok(new) if seen.as_ref() != Some(&new) => {
                seen = Some(new);
                continue;
            }
            new => new,
        };
        match new.and_then(|new| Ok((parse(&file, &new)?, new))) {
            Ok((access, new)) => {
                (text, said) = (new, None);
                tell.send_replace(Arc::new(access));
                tracing::info!(file = %file.display(), "who may do what was read again");
            }
            Err(error) => {
                let error = format!("{error:#}");
                if said.as_ref() != Some(&error) {
                    tracing::error!(error, "who may do what stays as it was");
                    said = Some(error);
                }
            }
        }
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    let text = String::from_utf8(regular_file(file, FILE_BYTES)?);
    text.with_context(|| format!("{} is not a text", file.display()))
}

fn parse(file: &Path, text: &str) -> anyhow::Result<Access> {
    let name = file.display().to_string();
    let access = read_access(Source { name: &name, text }).map_err(|faults| {
        let lines = faults.iter().map(|fault| format!("\n  {name}:{}: {}", fault.place.line, fault.message));
        anyhow::anyhow!("{}", lines.collect::<String>())
    });
    access.context("the file that says who may do what cannot be used")
}

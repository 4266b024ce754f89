//! The variables that every child gets: enough to find programs and a home, and none that carry secrets, except those that
//! a manifest refers to.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use vmcp_core::desired::{Found, Text};
use vmcp_runtime::secret_file;

/// What is inherited from the process that hosts. What its variables hold is not printed.
#[derive(Clone, Default)]
pub struct Environment {
    variables: Vec<(OsString, OsString)>,
    /// All that the process has; read only where a manifest refers to one.
    all: Arc<HashMap<OsString, OsString>>,
}

const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TERM",
    "TMPDIR",
    "TZ",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    // Where a company has its own authority, whoever downloads something needs it: these are names of files.
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
];

impl Environment {
    /// Those of `variables` that a child may have. `own_folder`, where the hosting program lies, is looked in last for
    /// programs, so that a workload can be one of its own commands.
    pub fn inherit(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        own_folder: Option<&Path>,
    ) -> Self {
        let all: HashMap<OsString, OsString> = variables.into_iter().collect();
        let inherited =
            INHERITED.iter().filter_map(|name| Some(((*name).into(), all.get(OsStr::new(name))?.clone())));
        let mut variables: Vec<(OsString, OsString)> = inherited.collect();
        if let Some(folder) = own_folder {
            match variables.iter_mut().find(|(name, _)| name == "PATH") {
                Some((_, path)) => {
                    path.push(":");
                    path.push(folder);
                }
                None => variables.push(("PATH".into(), folder.into())),
            }
        }
        Self { variables, all: Arc::new(all) }
    }

    /// What a text of a manifest stands for now.
    ///
    /// # Errors
    /// The variable is not set, or the file cannot be read or is too large for a secret; the secret is not in the error.
    pub(crate) fn resolve(&self, text: &Text) -> io::Result<OsString> {
        let (before, found) = match text {
            Text::Plain(text) => return Ok(text.into()),
            Text::Secret { before, found } => (before, found),
        };
        let mut whole = OsString::from(before);
        match found {
            Found::Variable(name) => {
                let value = self.all.get(OsStr::new(name));
                whole.push(
                    value.ok_or_else(|| io::Error::other(format!("the variable `{name}` is not set")))?,
                );
            }
            Found::File(file) => whole.push(secret_file(file)?),
        }
        Ok(whole)
    }

    pub(crate) fn variables(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_where_the_manifest_says_and_never_printed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs_err::write(&file, "from-file\n").unwrap();
        let environment = Environment::inherit([("KEY".into(), "from-variable".into())], None);
        let secret = |before: &str, found| Text::Secret { before: before.to_owned(), found };
        let resolve = |text: &Text| environment.resolve(text).map_err(|error| error.to_string());
        assert_eq!(resolve(&Text::Plain("x".into())), Ok("x".into()));
        assert_eq!(
            resolve(&secret("--key=", Found::Variable("KEY".into()))),
            Ok("--key=from-variable".into())
        );
        assert_eq!(resolve(&secret("", Found::File(file.clone()))), Ok("from-file".into()));
        assert_eq!(
            resolve(&secret("", Found::Variable("NONE".into()))),
            Err("the variable `NONE` is not set".into())
        );
        assert!(
            resolve(&secret("", Found::File("/nowhere/key".into()))).unwrap_err().contains("/nowhere/key")
        );
        fs_err::write(&file, vec![b'x'; 70_000]).unwrap();
        assert!(resolve(&secret("", Found::File(file))).unwrap_err().contains("too large"));
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [pipe, "/dev/zero".into(), folder.path().to_owned()] {
            let why = resolve(&secret("", Found::File(path))).unwrap_err();
            assert!(why.contains("is not a regular file"), "{why}");
        }
        assert!(!format!("{environment:?}").contains("from-variable"));
    }

    #[test]
    fn secrets_are_not_inherited_and_our_own_folder_comes_last() {
        let variables = [("PATH", "/bin"), ("API_KEY", "secret"), ("HOME", "/root")];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let environment = Environment::inherit(variables, Some(Path::new("/opt/vmcp")));
        let inherited: Vec<_> = environment.variables().collect();
        assert_eq!(
            inherited,
            [("PATH".as_ref(), "/bin:/opt/vmcp".as_ref()), ("HOME".as_ref(), "/root".as_ref())]
        );
    }
}

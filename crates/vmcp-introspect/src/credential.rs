//! What a backend is shown while it is asked: nothing, or a header that may be another one every time, since tokens end.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue};

type Header = (HeaderName, HeaderValue);
type Shows = dyn Fn() -> BoxFuture<'static, Result<Option<Header>, String>> + Send + Sync;

/// What a backend is shown. It cannot be printed. Cheap to clone.
#[derive(Clone, Default)]
pub struct Credential(Option<Arc<Shows>>);

impl Credential {
    /// Nothing.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// What `shows` says each time. Where that is why there is none now, the backend is not asked: it might take us for somebody else.
    pub fn by(
        shows: impl Fn() -> BoxFuture<'static, Result<Option<Header>, String>> + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(shows)))
    }

    /// The header for one request.
    pub(crate) async fn header(&self) -> Result<Option<Header>, String> {
        match &self.0 {
            None => Ok(None),
            Some(shows) => shows().await,
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Credential(…)" } else { "Credential(nothing)" })
    }
}

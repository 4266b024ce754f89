//! The body of a request or an answer in one piece, within a bound.

use std::error::Error as StdError;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;

/// Why there is no whole body.
#[derive(Debug, thiserror::Error)]
pub enum Incomplete {
    /// It is over the bound; the rest was not read.
    #[error("body is larger than {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: usize,
    },
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] Box<dyn StdError + Send + Sync>),
}

/// Reads to the end. A body that came in one frame is not copied.
///
/// # Errors
/// [`Incomplete`].
pub async fn collect<B>(body: &mut B, limit: usize) -> Result<Bytes, Incomplete>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn StdError + Send + Sync>>> + Unpin,
{
    if body.size_hint().lower() > limit as u64 {
        return Err(Incomplete::TooLarge { limit });
    }
    let mut whole = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Incomplete::Broken(error.into()))?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + joined.len() + data.len() > limit {
            return Err(Incomplete::TooLarge { limit });
        }
        if whole.is_empty() && joined.is_empty() {
            whole = data;
        } else {
            joined.extend_from_slice(&std::mem::take(&mut whole));
            joined.extend_from_slice(&data);
        }
    }
    Ok(if joined.is_empty() { whole } else { joined.freeze() })
}

/// Reads up to `limit` bytes and forgets them, so that whoever is still sending hears the answer: a connection that is
/// closed on a sender is reset.
pub async fn discard<B>(body: &mut B, limit: usize)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut discarded = 0;
    while let Some(Ok(frame)) = body.frame().await {
        discarded += frame.data_ref().map_or(0, Bytes::len);
        if discarded > limit {
            return;
        }
    }
}

//! When a server says to come back (RFC 9110, section 10.2.3).

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, HeaderName, RETRY_AFTER};

/// The time from now; `None` if it does not say, or says nonsense. A date is held against the server's own clock.
pub(crate) fn read(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |name: HeaderName| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok();
    let (then, now) = (date(RETRY_AFTER)?, date(DATE)?);
    Some(then.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read() {
        let check = |retry_after: &str, date: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
            headers.insert(DATE, date.parse().unwrap());
            read(&headers)
        };
        let now = "Wed, 21 Oct 2026 07:28:00 GMT";
        assert_eq!(check("30", now), Some(Duration::from_secs(30)));
        assert_eq!(check("Wed, 21 Oct 2026 07:28:30 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(check("Wed, 21 Oct 2026 07:27:00 GMT", now), Some(Duration::ZERO));
        for nonsense in ["-1", "soon", "", "1.5", "99999999999999999999999"] {
            assert_eq!(check(nonsense, now), None, "{nonsense}");
        }
        assert_eq!(check("Wed, 21 Oct 2026 07:28:30 GMT", "today"), None);
        assert_eq!(read(&HeaderMap::new()), None);
    }
}

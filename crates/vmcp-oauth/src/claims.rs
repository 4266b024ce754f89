//! What claims say: for whom, from when and until when, and what kind of token they are of.

use serde_json::{Map, Value};

use crate::denied::{Denied, Why};

/// By how much clocks may differ, in seconds.
const LEEWAY: u64 = 30;

/// Until when claims are good, with leeway, if they are now.
pub(crate) fn until(claims: &Map<String, Value>, now: u64, must_end: bool) -> Result<u64, Denied> {
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        // Not always whole (RFC 7519, section 2, NumericDate); never a text.
        Some(value) => value.as_f64().map(Some).ok_or(Denied::Invalid(Why::Incomplete)),
    };
    let (ends, begins) = (time("exp")?, time("nbf")?);
    let (now_f, leeway) = (seconds(now), seconds(LEEWAY));
    let has_begun = begins.is_none_or(|begins| begins <= now_f + leeway);
    match ends {
        Some(ends) if has_begun && ends + leeway > now_f => Ok(whole(ends).saturating_add(LEEWAY)),
        None if has_begun && !must_end => Ok(u64::MAX),
        _ if !has_begun => Err(Denied::Invalid(Why::NotYet)),
        None => Err(Denied::Invalid(Why::Incomplete)),
        Some(_) => Err(Denied::Invalid(Why::Ended)),
    }
}

/// Whether somebody is in `aud`: one text, or one of several.
pub(crate) fn is_for(claims: &Map<String, Value>, audience: &str) -> bool {
    match claims.get("aud") {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(all)) => all.iter().any(|one| one == audience),
        _ => false,
    }
}

/// A token that is bound to a key is nobody's who shows no key (RFC 9449, sections 6 and 7.2; RFC 8705, section 3).
pub(crate) fn is_bound(claims: &Map<String, Value>) -> bool {
    let kind = claims.get("token_type").and_then(Value::as_str);
    claims.contains_key("cnf") || kind.is_some_and(|kind| kind.eq_ignore_ascii_case("dpop"))
}

/// What tells a client who has signed in is no access token, also where the client has the name that tokens must be for here. It says so
/// by a hash of the code that it came with (OpenID Connect Core 1.0, section 3.3.2.11), or as Keycloak does; `at_hash` is in Dex's
/// access tokens, too.
pub(crate) fn is_id_token(kind: Option<&str>, claims: &Map<String, Value>) -> bool {
    let is_said_to_be = kind.is_some_and(|kind| kind.to_ascii_lowercase().ends_with("at+jwt"));
    let is_id = claims.get("typ").is_some_and(|kind| kind == "ID");
    !is_said_to_be && (is_id || claims.contains_key("c_hash"))
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
pub(crate) fn seconds(value: u64) -> f64 {
    value as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what does not fit is at a bound"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

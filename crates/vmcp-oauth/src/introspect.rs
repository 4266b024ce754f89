//! Asking an issuer whether a token is good (RFC 7662).

use serde_json::{Map, Value};

use crate::client::{Client, form};
use crate::reach::{Http, send};

/// What the issuer says of a token; `None`: it is not good.
pub(crate) async fn introspect(
    http: &Http,
    url: &str,
    client: &Client,
    token: &str,
    now: u64,
) -> Result<Option<Map<String, Value>>, String> {
    let shown = client.show(url, now)?;
    let mut fields = vec![("token", token.to_owned()), ("token_type_hint", "access_token".to_owned())];
    fields.extend(shown.fields);
    let mut request = http.client_for(url, url)?.post(url).body(form(&fields));
    request = request
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "application/json");
    if let Some(header) = shown.header {
        request = request.header("authorization", header);
    }
    let (status, text) = send(request).await?;
    if status != 200 {
        return Err(format!("it answers {status}"));
    }
    let said: Map<String, Value> =
        serde_json::from_slice(&text).map_err(|_| "its answer is no JSON object".to_owned())?;
    Ok((said.get("active") == Some(&Value::Bool(true))).then_some(said))
}

//! Where a backend is called, as bytes and back. Secrets are references; whoever calls finds them.

use http::HeaderName;
use vmcp_core::desired::{Endpoints, Found, Inventories, Sessions, Text, Transport};
use vmcp_proto::v1;
use vmcp_proto::v1::text::Secret;

use super::{Rejection, field};

/// The fields of a backend that say where it is called.
pub(super) fn encode(endpoints: &Endpoints) -> v1::Backend {
    let transport = match endpoints.transport {
        Transport::StreamableHttp => v1::Transport::StreamableHttp,
        Transport::Sse => v1::Transport::Sse,
    };
    let sessions = match endpoints.sessions {
        Sessions::Auto => v1::Sessions::Auto,
        Sessions::Sticky => v1::Sessions::Sticky,
        Sessions::Shared => v1::Sessions::Shared,
    };
    let headers = endpoints
        .headers
        .iter()
        .map(|(name, text)| v1::Header { name: name.to_string(), text: Some(encode_text(text)) });
    v1::Backend {
        urls: endpoints.urls.iter().map(ToString::to_string).collect(),
        transport: transport.into(),
        sessions: sessions.into(),
        headers: headers.collect(),
        per_principal: endpoints.inventory == Inventories::PerPrincipal,
        ca_bundle: endpoints.ca_bundle.as_ref().map(|path| path.to_string_lossy().into_owned()),
        ..v1::Backend::default()
    }
}

pub(super) fn decode(message: &v1::Backend) -> Result<Endpoints, Rejection> {
    let urls = message.urls.iter().map(|url| url.parse().map_err(|error| field("urls", &error)));
    let urls: Vec<_> = urls.collect::<Result<_, _>>()?;
    if urls.is_empty() {
        return Err(field("urls", &"there is none"));
    }
    let transport = match v1::Transport::try_from(message.transport) {
        Ok(v1::Transport::StreamableHttp) => Transport::StreamableHttp,
        Ok(v1::Transport::Sse) => Transport::Sse,
        Ok(v1::Transport::Unspecified) | Err(_) => {
            return Err(field("transport", &format!("unknown value {}", message.transport)));
        }
    };
    let sessions = match v1::Sessions::try_from(message.sessions) {
        Ok(v1::Sessions::Auto) => Sessions::Auto,
        Ok(v1::Sessions::Sticky) => Sessions::Sticky,
        Ok(v1::Sessions::Shared) => Sessions::Shared,
        Err(_) => return Err(field("sessions", &format!("unknown value {}", message.sessions))),
    };
    let headers = message.headers.iter().map(|header| {
        let text = header.text.as_ref().ok_or_else(|| field("headers", &"a text is missing"))?;
        Ok((header_name(&header.name)?, decode_text(text)))
    });
    let headers = headers.collect::<Result<_, Rejection>>()?;
    let ca_bundle = message.ca_bundle.as_ref().map(Into::into);
    let inventory = match message.per_principal {
        true => Inventories::PerPrincipal,
        false => Inventories::Shared,
    };
    Ok(Endpoints { urls, transport, sessions, inventory, headers, ca_bundle })
}

pub(super) fn header_name(text: &str) -> Result<HeaderName, Rejection> {
    text.parse().map_err(|error| field("headers", &error))
}

pub(super) fn encode_text(text: &Text) -> v1::Text {
    match text {
        Text::Plain(text) => v1::Text { text: text.clone(), secret: None },
        Text::Secret { before, found } => {
            let secret = match found {
                Found::Variable(name) => Secret::Variable(name.clone()),
                Found::File(path) => Secret::File(path.to_string_lossy().into_owned()),
            };
            v1::Text { text: before.clone(), secret: Some(secret) }
        }
    }
}

pub(super) fn decode_text(message: &v1::Text) -> Text {
    let found = match &message.secret {
        None => return Text::Plain(message.text.clone()),
        Some(Secret::Variable(name)) => Found::Variable(name.clone()),
        Some(Secret::File(path)) => Found::File(path.into()),
    };
    Text::Secret { before: message.text.clone(), found }
}

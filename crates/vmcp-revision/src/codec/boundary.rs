//! The two boundaries of a virtual server, as bytes and back. Secrets are references.

use vmcp_core::boundary::{
    Client, Grant, Incoming, Issuer, Outgoing, Proof, Reach, Strategy, SubjectTokenType, TokenExchange,
};
use vmcp_core::desired::{Found, Text};
use vmcp_proto::v1;
use vmcp_proto::v1::client::Proof as Shown;
use vmcp_proto::v1::strategy::Kind;

use super::endpoints::{decode_text, encode_text, header_name};
use super::{Rejection, field, parse_name};

pub(super) fn issuers(incoming: &Incoming) -> Vec<v1::Issuer> {
    let issuers = match incoming {
        Incoming::Oidc(issuers) => issuers.as_slice(),
        Incoming::Anonymous | Incoming::Local => &[],
    };
    let encode = |issuer: &Issuer| v1::Issuer {
        issuer: issuer.issuer.clone(),
        audience: issuer.audience.clone(),
        client: issuer.client.as_ref().map(client),
        resource: issuer.resource.clone(),
        scopes: issuer.scopes.clone(),
        required_scopes: issuer.required_scopes.clone(),
        jwks_url: issuer.jwks_url.clone(),
        introspection_url: issuer.introspection_url.clone(),
        reach: Some(reach(&issuer.reach)),
    };
    issuers.iter().map(encode).collect()
}

/// Nobody's tokens, and not local: everybody.
pub(super) fn read_incoming(issuers: Vec<v1::Issuer>, is_local: bool) -> Result<Incoming, Rejection> {
    if issuers.is_empty() {
        return Ok(if is_local { Incoming::Local } else { Incoming::Anonymous });
    }
    let issuers = issuers.into_iter().map(|issuer| {
        if issuer.issuer.is_empty() || issuer.audience.is_empty() {
            return Err(field("issuers", &"an issuer or an audience is missing"));
        }
        Ok(Issuer {
            issuer: issuer.issuer,
            audience: issuer.audience,
            client: issuer.client.map(read_client).transpose()?,
            resource: issuer.resource,
            scopes: issuer.scopes,
            required_scopes: issuer.required_scopes,
            jwks_url: issuer.jwks_url,
            introspection_url: issuer.introspection_url,
            reach: read_reach(issuer.reach),
        })
    });
    Ok(Incoming::Oidc(issuers.collect::<Result<_, Rejection>>()?))
}

pub(super) fn outgoing(outgoing: &Outgoing) -> v1::Outgoing {
    let backends = outgoing.backends.iter().map(|(backend, shown)| v1::BackendStrategy {
        backend: backend.to_string(),
        strategy: Some(strategy(shown)),
    });
    v1::Outgoing { default: Some(strategy(&outgoing.default)), backends: backends.collect() }
}

pub(super) fn read_outgoing(message: v1::Outgoing) -> Result<Outgoing, Rejection> {
    let backends = message.backends.into_iter().map(|backend| {
        Ok((parse_name("backend", &backend.backend)?, read_strategy(backend.strategy.unwrap_or_default())?))
    });
    Ok(Outgoing {
        backends: backends.collect::<Result<_, Rejection>>()?,
        default: read_strategy(message.default.unwrap_or_default())?,
    })
}

fn strategy(strategy: &Strategy) -> v1::Strategy {
    let kind = match strategy {
        Strategy::Unauthenticated => None,
        Strategy::PassThrough => Some(Kind::PassThrough(true)),
        Strategy::TokenExchange(exchange) => Some(Kind::TokenExchange(v1::TokenExchange {
            grant: Some(grant(&exchange.grant)),
            subject_token_type: exchange.subject_token_type.urn().to_owned(),
        })),
        Strategy::ClientCredentials(wanted) => Some(Kind::ClientCredentials(grant(wanted))),
        Strategy::Header(name, text) => {
            Some(Kind::Header(v1::Header { name: name.to_string(), text: Some(encode_text(text)) }))
        }
    };
    v1::Strategy { kind }
}

fn read_strategy(message: v1::Strategy) -> Result<Strategy, Rejection> {
    Ok(match message.kind {
        None => Strategy::Unauthenticated,
        Some(Kind::PassThrough(true)) => Strategy::PassThrough,
        Some(Kind::PassThrough(false)) => return Err(field("pass_through", &"it is not said")),
        Some(Kind::TokenExchange(exchange)) => {
            let kind = SubjectTokenType::parse(&exchange.subject_token_type);
            let subject_token_type = kind.ok_or_else(|| field("subject_token_type", &"it is not known"))?;
            let grant = read_grant(exchange.grant.unwrap_or_default())?;
            Strategy::TokenExchange(Box::new(TokenExchange { grant, subject_token_type }))
        }
        Some(Kind::ClientCredentials(grant)) => Strategy::ClientCredentials(Box::new(read_grant(grant)?)),
        Some(Kind::Header(header)) => {
            let text = header.text.as_ref().ok_or_else(|| field("header", &"a text is missing"))?;
            Strategy::Header(header_name(&header.name)?, decode_text(text))
        }
    })
}

fn grant(grant: &Grant) -> v1::Grant {
    v1::Grant {
        token_url: grant.token_url.clone(),
        client: grant.client.as_ref().map(client),
        audience: grant.audience.clone(),
        resource: grant.resource.clone(),
        scopes: grant.scopes.clone(),
        reach: Some(reach(&grant.reach)),
    }
}

fn read_grant(message: v1::Grant) -> Result<Grant, Rejection> {
    Ok(Grant {
        token_url: message.token_url,
        client: message.client.map(read_client).transpose()?,
        audience: message.audience,
        resource: message.resource,
        scopes: message.scopes,
        reach: read_reach(message.reach),
    })
}

fn client(client: &Client) -> v1::Client {
    let reference =
        |found: &Found| encode_text(&Text::Secret { before: String::new(), found: found.clone() });
    let proof = match &client.proof {
        Proof::None => None,
        Proof::Basic(secret) => Some(Shown::Basic(reference(secret))),
        Proof::Post(secret) => Some(Shown::Post(reference(secret))),
        Proof::PrivateKey { key, key_id, algorithm } => Some(Shown::PrivateKey(v1::PrivateKey {
            key: Some(reference(key)),
            key_id: key_id.clone(),
            algorithm: algorithm.clone(),
        })),
    };
    v1::Client { id: client.id.clone(), proof }
}

fn read_client(message: v1::Client) -> Result<Client, Rejection> {
    let reference = |text: &v1::Text| match decode_text(text) {
        Text::Secret { found, .. } => Ok(found),
        Text::Plain(_) => Err(field("proof", &"it is no reference")),
    };
    let proof = match message.proof {
        None => Proof::None,
        Some(Shown::Basic(secret)) => Proof::Basic(reference(&secret)?),
        Some(Shown::Post(secret)) => Proof::Post(reference(&secret)?),
        Some(Shown::PrivateKey(signed)) => {
            let key = signed.key.as_ref().ok_or_else(|| field("private_key", &"a key is missing"))?;
            Proof::PrivateKey { key: reference(key)?, key_id: signed.key_id, algorithm: signed.algorithm }
        }
    };
    Ok(Client { id: message.id, proof })
}

fn reach(reach: &Reach) -> v1::Reach {
    v1::Reach {
        ca_bundle: reach.ca_bundle.as_ref().map(|path| path.to_string_lossy().into_owned()),
        allows_private_ip: reach.allows_private_ip,
        allows_http: reach.allows_http,
    }
}

fn read_reach(message: Option<v1::Reach>) -> Reach {
    let message = message.unwrap_or_default();
    Reach {
        ca_bundle: message.ca_bundle.map(Into::into),
        allows_private_ip: message.allows_private_ip,
        allows_http: message.allows_http,
    }
}

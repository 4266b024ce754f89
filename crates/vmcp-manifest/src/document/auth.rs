//! The two boundaries of a virtual server: who may come in, and what its backends are shown.

use std::sync::Arc;

use vmcp_core::sentence::shown;

use crate::decode::Key::{Built, Later};
use crate::decode::{Decoder, Fields, Table, join};
use crate::document::{Mention, Step};
use crate::tree::Node;

pub(crate) const INCOMING: Table = Table {
    name: "IncomingAuth",
    keys: &[
        Built("type"),
        Later("oidc"),
        Later("local"),
        Later("authz"),
        Later("oidc_config_ref"),
        Later("authz_config"),
    ],
};

pub(crate) const INCOMING_TYPE: Table =
    Table { name: "IncomingType", keys: &[Built("anonymous"), Later("oidc"), Later("local")] };

pub(crate) const OUTGOING: Table =
    Table { name: "OutgoingAuth", keys: &[Built("source"), Built("default"), Built("backends")] };

pub(crate) const OUTGOING_SOURCE: Table =
    Table { name: "OutgoingSource", keys: &[Built("inline"), Later("discovered"), Later("mixed")] };

pub(crate) const STRATEGY: Table = Table {
    name: "Strategy",
    keys: &[
        Built("type"),
        Later("pass_through"),
        Later("token_exchange"),
        Later("service_account"),
        Later("header_injection"),
        Later("upstream_inject"),
        Later("aws_sts"),
        Later("obo"),
        Later("xaa"),
        Later("oauth_proxy"),
        Later("mapped_claims"),
        Later("client_credentials"),
        Later("external_auth_config_ref"),
        Later("metadata"),
    ],
};

pub(crate) const STRATEGY_TYPE: Table = Table {
    name: "StrategyType",
    keys: &[
        Built("unauthenticated"),
        Later("pass_through"),
        Later("token_exchange"),
        Later("service_account"),
        Later("client_credentials"),
        Later("header_injection"),
        Later("upstream_inject"),
        Later("aws_sts"),
        Later("obo"),
        Later("xaa"),
        Later("oauth_proxy"),
        Later("mapped_claims"),
        Later("error"),
        Later("discovered"),
        Later("externalAuthConfigRef"),
    ],
};

/// Said and never assumed: letting everybody in is a decision.
pub(super) fn incoming(decoder: &mut Decoder, fields: &Fields<'_>) {
    let help = "write `incoming_auth: {type: anonymous}` to let everybody in who reaches the listener";
    let Some((node, path)) = fields.require(decoder, "incoming_auth", help) else { return };
    let Some(fields) = decoder.mapping(node, &path, &INCOMING) else { return };
    if let Some((node, path)) = fields.require(decoder, "type", help) {
        decoder.word(node, &path, &INCOMING_TYPE);
    }
}

/// The workloads that it names.
pub(super) fn outgoing(decoder: &mut Decoder, node: &Node, path: &str) -> Vec<Mention> {
    let mut mentions = Vec::new();
    let Some(fields) = decoder.mapping(node, path, &OUTGOING) else { return mentions };
    if let Some((node, path)) = fields.get("source") {
        decoder.word(node, &path, &OUTGOING_SOURCE);
    }
    if let Some((node, path)) = fields.get("default") {
        strategy(decoder, node, &path);
    }
    if let Some((node, path)) = fields.get("backends") {
        let base: Arc<str> = path.as_str().into();
        for (key, node) in decoder.free_mapping(node, &path) {
            strategy(decoder, node, &join(&path, &shown(key.text())));
            let step = Step::Key;
            mentions.push(Mention {
                workload: key.text().into(),
                path: base.clone(),
                step,
                place: key.place,
            });
        }
    }
    mentions
}

fn strategy(decoder: &mut Decoder, node: &Node, path: &str) {
    let Some(fields) = decoder.mapping(node, path, &STRATEGY) else { return };
    if let Some((node, path)) = fields.require(decoder, "type", "write `type: unauthenticated`") {
        decoder.word(node, &path, &STRATEGY_TYPE);
    }
}

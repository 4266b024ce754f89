//! What policies mean for a catalog: names that they speak of do not pass to another owner, and what is odd about them is said.

use std::sync::Arc;

use vmcp_authz::{Act, Lint, Offered, Policies};
use vmcp_core::boundary::{Authorization, Incoming, Strategy};
use vmcp_core::catalog::Share;
use vmcp_core::desired::VirtualServer;
use vmcp_core::diagnostic::{Diagnostic, Severity};
use vmcp_core::item::Kind;
use vmcp_core::name::Name;
use vmcp_core::owners::Guarded;

/// The policies of a virtual server.
#[derive(Debug)]
pub(crate) struct Judged(Policies);

impl Judged {
    /// `None`: there are none, or they are none that decide, which was said when they were applied.
    pub(crate) fn of(server: &VirtualServer) -> Option<Self> {
        let authorization = server.authorization.as_ref()?;
        Policies::compile(server.name.as_str(), authorization).ok().map(Self)
    }
}

/// The names that policies speak of.
pub(crate) fn guarded(judged: Option<&Judged>) -> Guarded {
    let named = judged.into_iter().flat_map(|judged| judged.0.named_items());
    named.flat_map(|(act, name)| kinds(act).iter().map(move |kind| (*kind, name.to_owned()))).collect()
}

fn kinds(act: Act) -> &'static [Kind] {
    match act {
        Act::CallTool => &[Kind::Tool],
        Act::ReadResource => &[Kind::Resource, Kind::Template],
        Act::GetPrompt => &[Kind::Prompt],
    }
}

/// What is odd about the boundaries of a virtual server that offers this.
pub fn odd<'s>(server: &VirtualServer, shares: impl Iterator<Item = &'s Arc<Share>>) -> Vec<Diagnostic> {
    let judged = Judged::of(server);
    diagnostics(judged.as_ref(), server, shares)
}

/// The same, with policies that have been read.
pub(crate) fn diagnostics<'s>(
    judged: Option<&Judged>,
    server: &VirtualServer,
    shares: impl Iterator<Item = &'s Arc<Share>>,
) -> Vec<Diagnostic> {
    let mut all = passed_through(server);
    if let (Some(Judged(policies)), Some(authorization)) = (judged, &server.authorization) {
        let shares: Vec<&Arc<Share>> = shares.collect();
        let items = shares.iter().flat_map(|share| share.visible());
        let items = items.map(|item| (Act::on(item.kind), item.exposed_name.as_str(), item.kind));
        let (templates, items): (Vec<_>, Vec<_>) = items.partition(|(_, _, kind)| *kind == Kind::Template);
        let offered = Offered {
            items: items.into_iter().map(|(act, name, _)| (act, name)).collect(),
            templates: templates.into_iter().map(|(_, uri, _)| uri).collect(),
            backends: shares.iter().map(|share| share.backend.as_str()).collect(),
        };
        // Before any backend has answered nothing has a name.
        let offered = (!offered.items.is_empty() || !offered.templates.is_empty()).then_some(&offered);
        let has_several_issuers = matches!(&server.incoming, Incoming::Oidc(issuers) if issuers.len() > 1);
        let lints = policies.lints(offered, has_several_issuers);
        all.extend(lints.into_iter().map(|lint| said(server, authorization, lint)));
    }
    all
}

fn said(server: &VirtualServer, authorization: &Authorization, lint: Lint) -> Diagnostic {
    let place = lint.policy.unwrap_or_default();
    let line = authorization.lines.get(place).cloned().map(|mut line| {
        line.number += authorization.policies.get(place).map_or(0, |text| lint.line(text));
        line
    });
    Diagnostic {
        virtual_server: server.name.clone(),
        severity: Severity::Warning,
        backends: Vec::new(),
        message: format!("policy {place}: {}", lint.message),
        help: lint.help,
        line,
    }
}

/// MCP forbids it (2026-07-28, Security Best Practices, Token Passthrough).
fn passed_through(server: &VirtualServer) -> Vec<Diagnostic> {
    let outgoing = &server.outgoing;
    let named = outgoing.backends.iter().filter(|(_, strategy)| **strategy == Strategy::PassThrough);
    let backends: Vec<Name> = named.map(|(name, _)| name.clone()).collect();
    let is_default = outgoing.default == Strategy::PassThrough;
    if backends.is_empty() && !is_default {
        return Vec::new();
    }
    let others = is_default.then(|| match outgoing.backends.is_empty() {
        true => "every backend".to_owned(),
        false => "every backend of which nothing else is said".to_owned(),
    });
    let who: Vec<String> = backends.iter().map(|name| format!("`{name}`")).chain(others).collect();
    let who = who.join(", ");
    vec![Diagnostic {
        virtual_server: server.name.clone(),
        severity: Severity::Warning,
        backends,
        message: format!("{who} gets callers' own tokens, with which it can do here whatever they may"),
        help: Some("use `token_exchange`: MCP forbids passing tokens through".to_owned()),
        line: None,
    }]
}

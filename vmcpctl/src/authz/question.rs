//! A question to policies: who, what, with which item; what is not said is read out of the item's name.

use std::collections::BTreeMap;

use anyhow::{anyhow, bail};
use serde_json::{Map, Value, json};
use vmcp_authz::{Act, Claims, Decision, Described, GROUP_CLAIMS, Hints, Policies};
use vmcp_core::aggregation::ConflictResolution;
use vmcp_core::boundary::{Authorization, Incoming};
use vmcp_core::desired::{Desired, VirtualServer};
use vmcp_core::item::Kind;
use vmcp_core::name::Name;
use vmcp_manifest::Case;

use crate::failure::WrongUsage;
use crate::settings::{Action, Explain};
use crate::validate::FoundItem;

/// What is asked.
pub(super) struct Question {
    /// What can be written where it stands, if more is to be said: the virtual server, and the backend.
    words: [&'static str; 2],
    virtual_server: Option<Name>,
    principal: String,
    claims: Map<String, Value>,
    /// Groups may be written as a text, `a,b`, though they are lists in tokens.
    has_plain_groups: bool,
    action: &'static str,
    item: String,
    backend: Option<Name>,
    original_name: Option<String>,
    hints: BTreeMap<String, bool>,
    arguments: BTreeMap<String, Value>,
}

/// What policies say.
pub(super) struct Answered {
    /// The question in a line.
    pub(super) said: String,
    pub(super) decision: Decision,
    /// Policies that can speak of the item at all.
    pub(super) considered: Vec<String>,
    /// Whether lists show it.
    pub(super) is_listed: bool,
    /// Where each policy stands, by id.
    places: BTreeMap<String, String>,
}

impl Question {
    pub(super) fn of(explain: &Explain) -> anyhow::Result<Self> {
        let pairs = |all: &[String]| -> anyhow::Result<Vec<(String, String)>> {
            all.iter()
                .map(|text| {
                    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
                    let (name, value) =
                        pair.ok_or_else(|| WrongUsage(format!("`{text}` is not `NAME=VALUE`")))?;
                    Ok((name.to_owned(), value.to_owned()))
                })
                .collect()
        };
        let read = |(name, text): (String, String)| {
            let value = serde_json::from_str(&text).unwrap_or_else(|_| Value::from(text.as_str()));
            (name, value)
        };
        let claims = pairs(&explain.claims)?.into_iter().map(read);
        let hints = pairs(&explain.hints)?.into_iter().map(|(name, text)| {
            if !Hints::NAMES.contains(&&*name) {
                return Err(
                    WrongUsage(format!("hints are {}, and not `{name}`", Hints::NAMES.join(", "))).into()
                );
            }
            let is = text.parse().map_err(|_| WrongUsage(format!("`{name}` is `true` or `false`")))?;
            Ok((name, is))
        });
        Ok(Self {
            words: ["`--virtual-server`", "`--backend`, or look it up with `--connect`"],
            virtual_server: explain.virtual_server.clone(),
            principal: explain.principal.clone(),
            claims: claims.collect(),
            has_plain_groups: true,
            action: explain.action.as_str(),
            item: explain.item.clone(),
            backend: explain.backend.clone(),
            original_name: explain.original_name.clone(),
            hints: hints.collect::<anyhow::Result<_>>()?,
            arguments: pairs(&explain.arguments)?.into_iter().map(read).collect(),
        })
    }

    pub(super) fn of_case(case: &Case) -> Self {
        let action = match case.action.as_str() {
            "read_resource" => Action::ReadResource,
            "get_prompt" => Action::GetPrompt,
            _ => Action::CallTool,
        };
        Self {
            words: ["`virtual_server`", "`backend`"],
            virtual_server: case.virtual_server.clone(),
            principal: case.principal.clone(),
            claims: case.claims.clone(),
            has_plain_groups: false,
            action: action.as_str(),
            item: case.item.clone(),
            backend: case.backend.clone(),
            original_name: case.original_name.clone(),
            hints: case.hints.clone(),
            arguments: case.arguments.clone(),
        }
    }

    /// The kind of item that it is about.
    pub(super) fn kind(&self) -> Kind {
        match self.action {
            "read_resource" => Kind::Resource,
            "get_prompt" => Kind::Prompt,
            _ => Kind::Tool,
        }
    }

    /// It was looked up.
    pub(super) fn is(&mut self, found: FoundItem) {
        self.backend.get_or_insert(found.backend);
        self.original_name.get_or_insert(found.original_name);
        for (name, is) in found.hints {
            self.hints.entry(name).or_insert(is);
        }
    }

    /// Whose policies are meant.
    pub(super) fn server<'d>(&self, desired: &'d Desired) -> anyhow::Result<&'d VirtualServer> {
        if let Some(name) = &self.virtual_server {
            let server = desired.virtual_servers.get(name);
            return server.ok_or_else(|| anyhow!("there is no virtual server `{name}`"));
        }
        let mut all = desired.virtual_servers.values().filter(|server| server.authorization.is_some());
        match (all.next(), all.next()) {
            (Some(server), None) => Ok(server),
            (None, _) => bail!("no virtual server has policies: whoever comes in may do everything"),
            (Some(_), Some(_)) => {
                bail!("several virtual servers have policies: say which with {}", self.words[0])
            }
        }
    }

    pub(super) fn ask(&self, desired: &Desired) -> anyhow::Result<Answered> {
        let server = self.server(desired)?;
        let authorization = server.authorization.as_ref().ok_or_else(|| {
            anyhow!("`{}` has no policies: whoever comes in may do everything", server.name)
        })?;
        let policies = Policies::compile(server.name.as_str(), authorization).map_err(|faults| {
            anyhow!("{}", faults.iter().map(|fault| fault.message.as_str()).collect::<Vec<_>>().join("; "))
        })?;
        let issuer = self.issuer(server)?;
        let claims = self.claims(authorization);
        let (backend, original_name) = self.owner(server, desired)?;
        let act = Act::named(self.action).ok_or_else(|| anyhow!("unknown action"))?;
        let hint = |name: &str| self.hints.get(name).copied();
        let hints = Hints {
            read_only: hint("readOnlyHint"),
            destructive: hint("destructiveHint"),
            idempotent: hint("idempotentHint"),
            open_world: hint("openWorldHint"),
        };
        let described = Described {
            act,
            exposed_name: &self.item,
            original_name: &original_name,
            backend: backend.as_str(),
            hints,
        };
        let guard = policies.guard(described, None);
        let subject = policies.subject(Claims { subject: &self.principal, issuer, all: &claims });
        let written: Vec<(&String, String)> =
            self.arguments.iter().map(|(name, value)| (name, value.to_string())).collect();
        let arguments: Vec<(&str, &str)> =
            written.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let decision = policies.decide(&subject, &guard, &arguments);
        let is_listed = policies.decide(&subject, &guard, &[]).is_allowed;
        let places = policies.places().map(|(id, place)| {
            let line = authorization.lines.get(place).map(ToString::to_string);
            (id, line.unwrap_or_default())
        });
        let said = format!("{} {} {} of `{backend}`", self.principal, self.action, self.item);
        let considered = policies.considered(&guard);
        Ok(Answered { said, decision, considered, is_listed, places: places.collect() })
    }

    /// Who vouches for the principal: whom the claim `iss` names, or else the first.
    fn issuer<'s>(&self, server: &'s VirtualServer) -> anyhow::Result<&'s str> {
        let Incoming::Oidc(issuers) = &server.incoming else { return Ok("vmcp") };
        let Some(named) = self.claims.get("iss") else {
            return Ok(issuers.first().map_or("vmcp", |issuer| &issuer.issuer));
        };
        let known = issuers.iter().find(|issuer| *named == issuer.issuer);
        known.map(|issuer| issuer.issuer.as_str()).ok_or_else(|| {
            let all: Vec<&str> = issuers.iter().map(|issuer| issuer.issuer.as_str()).collect();
            anyhow!(
                "`{}` takes no tokens of the issuer {named}: it takes those of {}",
                server.name,
                all.join(", ")
            )
        })
    }

    /// The claims, with lists where groups and roles are read.
    fn claims(&self, authorization: &Authorization) -> Map<String, Value> {
        let mut claims = self.claims.clone();
        let said = [&authorization.group_claim, &authorization.role_claim];
        let named: Vec<&str> = said.into_iter().flatten().map(String::as_str).collect();
        let usual: &[&str] = if authorization.group_claim.is_none() { &GROUP_CLAIMS } else { &[] };
        for name in named.into_iter().chain(usual.iter().copied()).filter(|_| self.has_plain_groups) {
            if let Some(Value::String(text)) = claims.get(name) {
                let list: Vec<&str> = text.split(',').collect();
                let list = list.into();
                claims.insert(name.to_owned(), list);
            }
        }
        claims
    }

    /// Whose the item is, and what it is called there: as is said, or as its name says.
    fn owner(&self, server: &VirtualServer, desired: &Desired) -> anyhow::Result<(Name, String)> {
        let group = desired.groups.get(&server.group);
        let workloads = group.into_iter().flat_map(|group| group.workloads.keys());
        let format = &server.aggregation.prefix_format;
        let has_prefix = server.aggregation.conflict_resolution == ConflictResolution::Prefix
            && self.kind() != Kind::Resource;
        let behind = |workload: &Name| {
            let prefix = format.apply(workload, "");
            self.item
                .strip_prefix(&prefix)
                .filter(|rest| has_prefix && !rest.is_empty())
                .map(ToOwned::to_owned)
        };
        if let Some(backend) = &self.backend {
            let name = self.original_name.clone().or_else(|| behind(backend));
            return Ok((backend.clone(), name.unwrap_or_else(|| self.item.clone())));
        }
        let mut named: Vec<(Name, String)> =
            workloads.clone().filter_map(|workload| Some((workload.clone(), behind(workload)?))).collect();
        // `a_b_c` is of `a_b` rather than of `a`.
        named.sort_by_key(|(workload, _)| workload.as_str().len());
        if let Some((workload, rest)) = named.pop() {
            return Ok((workload, self.original_name.clone().unwrap_or(rest)));
        }
        let mut all = workloads;
        match (all.next(), all.next()) {
            (Some(only), None) => Ok((only.clone(), self.item.clone())),
            _ => bail!("it is not known whose `{}` is: say so with {}", self.item, self.words[1]),
        }
    }
}

impl Answered {
    /// Policies by id, each with its place.
    pub(super) fn named(&self, ids: &[String]) -> String {
        let named = ids.iter().map(|id| match self.places.get(id).filter(|place| !place.is_empty()) {
            Some(place) => format!("`{id}` ({place})"),
            None => format!("`{id}`"),
        });
        named.collect::<Vec<_>>().join(", ")
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "decision": if self.decision.is_allowed { "allow" } else { "deny" },
            "policies": self.decision.policies,
            "considered": self.considered,
            "error": self.decision.error,
            "listed": self.is_listed,
        })
    }
}

//! Policies and catalogs that nobody has thought of: for each of a hundred sets, every caller's lists are what the policies allow.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use serde_json::json;
use vmcp_testkit::{Answer, Client, ControlPlane, Issuer, RawBackend, Recorded, eventually};

use super::{ask, call, group, guarded_server};
use crate::two_planes::{PROGRAMS, data_plane};

const SETS: usize = 100;
/// Virtual servers of one manifest, each with its own policies; every manifest is of another catalog.
const AT_ONCE: usize = 10;
const BACKENDS: [&str; 2] = ["a", "b"];
const CALLERS: [&str; 3] = ["ada", "ben", "eve"];
const GROUPS: [&str; 2] = ["red", "blue"];

/// What there is to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Item {
    backend: usize,
    /// 0: tools, 1: resources, 2: prompts, 3: templates.
    kind: usize,
    number: usize,
}

const ACTIONS: [&str; 3] = ["call_tool", "read_resource", "get_prompt"];
const TYPES: [&str; 4] = ["Tool", "Resource", "Prompt", "Resource"];
const LISTS: [(&str, &str, &str); 4] = [
    ("tools/list", "tools", "name"),
    ("resources/list", "resources", "uri"),
    ("prompts/list", "prompts", "name"),
    ("resources/templates/list", "resourceTemplates", "uriTemplate"),
];

/// Up to five of each kind at each backend.
fn catalog(rng: &mut Rng) -> Vec<Item> {
    let mut all = Vec::new();
    for backend in 0..BACKENDS.len() {
        for kind in 0..LISTS.len() {
            all.extend((0..rng.usize(0..6)).map(|number| Item { backend, kind, number }));
        }
    }
    all
}

impl Item {
    fn action(self) -> usize {
        [0, 1, 2, 1][self.kind]
    }

    fn original(self) -> String {
        match self.kind {
            1 => format!("{}://r{}", BACKENDS[self.backend], self.number),
            3 => format!("{}-{}://{{x}}", BACKENDS[self.backend], self.number),
            kind => format!("{}{}", ["t", "", "p"][kind], self.number),
        }
    }

    fn exposed(self) -> String {
        match self.kind {
            1 | 3 => self.original(),
            _ => format!("{}_{}", BACKENDS[self.backend], self.original()),
        }
    }

    /// What asks for it, and with which members; of a template, for one of its URIs.
    fn asked(self) -> (&'static str, String) {
        let exposed = self.exposed().replace("{x}", "7");
        match self.kind {
            0 => ("tools/call", call(&exposed)),
            2 => ("prompts/get", call(&exposed)),
            _ => ("resources/read", format!(r#""uri":"{exposed}""#)),
        }
    }

    fn is_read_only(self) -> bool {
        self.kind == 0 && self.number.is_multiple_of(2)
    }
}

/// A policy, by its parts; `None` is anything.
#[derive(Debug)]
struct Policy {
    is_permit: bool,
    caller: Option<Who>,
    action: Option<usize>,
    resource: Option<What>,
    condition: Option<Condition>,
}

#[derive(Debug)]
enum Who {
    One(usize),
    Group(usize),
}

#[derive(Debug)]
enum What {
    One(Item),
    Backend(usize),
}

#[derive(Debug, Clone, Copy)]
enum Condition {
    ReadOnly,
    Department,
    Original(usize),
    Argument,
    NoArgument,
}

impl Policy {
    fn generate(rng: &mut Rng, items: &[Item]) -> Self {
        let resource = match rng.usize(0..4) {
            0 => None,
            1 => Some(What::Backend(rng.usize(0..2))),
            _ => rng.choice(items).map(|item| What::One(*item)),
        };
        let action = match &resource {
            Some(What::One(item)) => Some(item.action()),
            _ => (rng.bool()).then(|| rng.usize(0..3)),
        };
        let caller = match rng.usize(0..4) {
            0 | 1 => None,
            2 => Some(Who::One(rng.usize(0..CALLERS.len()))),
            _ => Some(Who::Group(rng.usize(0..GROUPS.len()))),
        };
        let condition = match rng.usize(0..9) {
            0 => Some(Condition::ReadOnly),
            1 => Some(Condition::Department),
            2 => Some(Condition::Original(rng.usize(0..4))),
            3 => Some(Condition::Argument),
            4 => Some(Condition::NoArgument),
            _ => None,
        };
        Self { is_permit: rng.usize(0..4) > 0, caller, action, resource, condition }
    }

    fn text(&self) -> String {
        let principal = match &self.caller {
            None => "principal".to_owned(),
            Some(Who::One(who)) => format!("principal == Client::\"{}\"", CALLERS[*who]),
            Some(Who::Group(group)) => format!("principal in THVGroup::\"{}\"", GROUPS[*group]),
        };
        let action = self
            .action
            .map_or("action".to_owned(), |kind| format!("action == Action::\"{}\"", ACTIONS[kind]));
        let resource = match &self.resource {
            None => "resource".to_owned(),
            Some(What::One(item)) => format!("resource == {}::\"{}\"", TYPES[item.kind], item.exposed()),
            Some(What::Backend(backend)) => format!("resource in Backend::\"{}\"", BACKENDS[*backend]),
        };
        let condition = match self.condition {
            None => String::new(),
            Some(Condition::ReadOnly) => {
                " when { resource has readOnlyHint && resource.readOnlyHint }".to_owned()
            }
            Some(Condition::Department) => {
                " when { context has claim_dept && context.claim_dept == \"it\" }".to_owned()
            }
            Some(Condition::Original(number)) => {
                format!(" when {{ resource.original_name == \"t{number}\" }}")
            }
            Some(Condition::Argument) => " when { context has arg_n && context.arg_n > 5 }".to_owned(),
            Some(Condition::NoArgument) => " unless { context has arg_n && context.arg_n > 5 }".to_owned(),
        };
        let effect = if self.is_permit { "permit" } else { "forbid" };
        format!("{effect}({principal}, {action}, {resource}){condition};")
    }

    /// Whether it speaks of this, called with nothing.
    fn speaks_of(&self, caller: usize, item: Item) -> bool {
        let of_caller = match &self.caller {
            None => true,
            Some(Who::One(who)) => *who == caller,
            Some(Who::Group(group)) => groups(caller).contains(&GROUPS[*group]),
        };
        let of_item = match &self.resource {
            None => true,
            Some(What::One(one)) => *one == item,
            Some(What::Backend(backend)) => *backend == item.backend,
        };
        let holds = match self.condition {
            None | Some(Condition::NoArgument) => true,
            Some(Condition::ReadOnly) => item.is_read_only(),
            Some(Condition::Department) => caller == 1,
            Some(Condition::Original(number)) => item.kind == 0 && item.number == number,
            Some(Condition::Argument) => false,
        };
        of_caller && self.action.is_none_or(|action| action == item.action()) && of_item && holds
    }
}

fn groups(caller: usize) -> &'static [&'static str] {
    [&["red"][..], &["red", "blue"], &[]][caller]
}

fn allows<'a>(policies: impl IntoIterator<Item = &'a Policy>, caller: usize, item: Item) -> bool {
    let speaking = policies.into_iter().filter(|policy| policy.speaks_of(caller, item));
    let effects: Vec<bool> = speaking.map(|policy| policy.is_permit).collect();
    !effects.is_empty() && effects.iter().all(|is_permit| *is_permit)
}

async fn backend(place: usize, items: &[Item]) -> RawBackend {
    let of_it = items.iter().copied().filter(|item| item.backend == place).collect::<Vec<_>>();
    RawBackend::start(move |recorded: &Recorded| {
        let tail = r#","resultType":"complete","ttlMs":0,"cacheScope":"private""#;
        let listed = |kind: usize| {
            let items = of_it.iter().filter(|item| item.kind == kind);
            let items = items.map(|item| match kind {
                0 => json!({"name": item.original(), "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": item.is_read_only()}}),
                1 | 3 => json!({LISTS[kind].2: item.original(), "name": "r"}),
                _ => json!({"name": item.original()}),
            });
            items.map(|item| item.to_string()).collect::<Vec<_>>().join(",")
        };
        let result = |members: String| recorded.result(&format!("{{{members}{tail}}}"));
        let capabilities = r#""capabilities":{"tools":{},"resources":{},"prompts":{}}"#;
        match recorded.mcp_method().unwrap_or_default().as_str() {
            "server/discover" => result(format!(r#""supportedVersions":["2026-07-28"],{capabilities}"#)),
            "initialize" => recorded.result(&format!(r#"{{"protocolVersion":"2025-11-25",{capabilities},"serverInfo":{{"name":"x","version":"1"}}}}"#)),
            "tools/list" => result(format!(r#""tools":[{}]"#, listed(0))),
            "resources/list" => result(format!(r#""resources":[{}]"#, listed(1))),
            "resources/templates/list" => result(format!(r#""resourceTemplates":[{}]"#, listed(3))),
            "prompts/list" => result(format!(r#""prompts":[{}]"#, listed(2))),
            "tools/call" => result(r#""content":[]"#.to_owned()),
            "resources/read" => result(r#""contents":[]"#.to_owned()),
            "prompts/get" => result(r#""messages":[]"#.to_owned()),
            _ => recorded.error(-32601),
        }
    })
    .await
}

fn manifest(issuer: &Issuer, backends: &[RawBackend], sets: &[Vec<Policy>]) -> String {
    let servers = sets.iter().enumerate().map(|(number, policies)| {
        let texts: Vec<String> = policies.iter().map(Policy::text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        guarded_server(&format!("s{number}"), issuer, &texts)
    });
    let servers: Vec<String> = servers.collect();
    let named: Vec<(&str, String)> = BACKENDS.into_iter().zip(backends.iter().map(RawBackend::url)).collect();
    servers.join("---\n") + &group(&named)
}

fn names(answer: &Answer, kind: usize) -> BTreeSet<String> {
    let (_, list, key) = LISTS[kind];
    let answer = answer.json();
    let items = answer["result"][list].as_array().unwrap_or_else(|| panic!("{answer}"));
    items.iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn two_boundaries_06_a_list_is_exactly_what_the_decision_allows_without_arguments() {
    let seed = 20_261_128;
    let mut rng = Rng::with_seed(seed);
    let issuer = Issuer::start().await;
    let control_plane = ControlPlane::start(PROGRAMS).await;
    let plane = data_plane(&control_plane, &[]).await;
    let origin = plane.url.trim_end_matches("/mcp").to_owned();
    let tokens: Vec<String> = (0..CALLERS.len())
        .map(|caller| {
            let mut claims = json!({"groups": groups(caller)});
            if caller == 1 {
                claims["dept"] = json!("it");
            }
            issuer.token(CALLERS[caller], "vmcp", &claims)
        })
        .collect();
    let (mut seen, mut allowed) = (0, 0);
    for _ in 0..SETS / AT_ONCE {
        let items = catalog(&mut rng);
        let backends = [backend(0, &items).await, backend(1, &items).await];
        let sets: Vec<Vec<Policy>> = (0..AT_ONCE)
            .map(|_| (0..rng.usize(1..8)).map(|_| Policy::generate(&mut rng, &items)).collect())
            .collect();
        control_plane.apply(&manifest(&issuer, &backends, &sets), &["--wait"]).await.good();
        for (number, policies) in sets.iter().enumerate() {
            let client = Client::new(format!("{origin}/s{number}/mcp"));
            let is_up =
                async || ask(&client, Some(&tokens[0]), true, "tools/list", "").await.status.as_u16() == 200;
            assert!(eventually(Duration::from_secs(5), is_up).await);
            for (caller, token) in tokens.iter().enumerate() {
                for (kind, (list, ..)) in LISTS.iter().enumerate() {
                    let of_kind = items.iter().filter(|item| item.kind == kind);
                    let expected: BTreeSet<String> = of_kind
                        .filter(|item| allows(policies, caller, **item))
                        .map(|item| item.exposed())
                        .collect();
                    for is_modern in [true, false] {
                        let listed = names(&ask(&client, Some(token), is_modern, list, "").await, kind);
                        let texts: Vec<String> = policies.iter().map(Policy::text).collect();
                        assert_eq!(listed, expected, "seed {seed}, {} {list}: {texts:#?}", CALLERS[caller]);
                    }
                    seen += 1;
                    allowed += expected.len();
                }
                // And what is listed is what can be called; of a template, a policy that names it says nothing about its URIs.
                let Some(item) = rng.choice(&items).copied() else { continue };
                let speaks = |policy: &&Policy| {
                    item.kind != 3 || !matches!(policy.resource, Some(What::One(named)) if named == item)
                };
                let speaking = policies.iter().filter(speaks);
                let is_allowed = allows(speaking, caller, item);
                let (method, members) = item.asked();
                for is_modern in [true, false] {
                    let answer = ask(&client, Some(token), is_modern, method, &members).await;
                    assert_eq!(
                        answer.json()["result"].is_object(),
                        is_allowed,
                        "{item:?}: {}",
                        answer.text()
                    );
                }
            }
        }
    }
    assert_eq!(seen, SETS * CALLERS.len() * LISTS.len());
    assert!(allowed > SETS, "too little was allowed for this to say anything: {allowed}");
}

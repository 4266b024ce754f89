use bytes::Bytes;
use vmcp_core::catalog::Exposed;
use vmcp_core::desired::{Endpoints, VirtualServer};
use vmcp_core::inventory::{Eras, Legacy as LegacyFacts};
use vmcp_core::item::Kind;
use vmcp_revision::codec::{ServedServer, decode, encode_backend, encode_share, encode_virtual_server};
use vmcp_revision::{Part, Published};

use super::*;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn server(text: &str, is_default: bool) -> Part {
    let server = VirtualServer { is_default, ..VirtualServer::new(name(text), name("g")) };
    encode_virtual_server(&ServedServer::of(&server, Vec::new()))
}

fn backend(text: &str) -> Part {
    let legacy = Some(LegacyFacts { version: "2025-11-25".into(), has_sessions: false });
    encode_backend(&vmcp_core::backend::Backend {
        id: BackendId { group: name("g"), name: name(text) },
        endpoints: Endpoints::at(::http::Uri::from_static("http://127.0.0.1:1/mcp")),
        eras: Eras { modern: true, legacy },
    })
}

fn share(server: &str, backend: &str, items: &[(Kind, &str)]) -> Part {
    let items = items.iter().map(|(kind, text)| Exposed {
        kind: *kind,
        exposed_name: (*text).to_owned(),
        original_name: format!("own {text}"),
        definition: Bytes::from(format!("{{\"n\":\"{text}\"}}")),
        is_hidden: text.starts_with("hidden"),
    });
    let share = Share {
        backend: name(backend),
        items: items.collect(),
        abilities: vmcp_core::inventory::Abilities::default(),
        instructions: Some(format!("about {backend}")),
    };
    encode_share(&name(server), &name("g"), &share)
}

/// What one follower holds, revision after revision.
#[derive(Default)]
struct World {
    held: Held,
    serving: Serving,
    snapshot: Arc<Snapshot>,
    revision: u64,
}

impl World {
    fn publish(&mut self, parts: &[Part]) -> Arc<Snapshot> {
        self.revision += 1;
        let parts = parts.iter().map(|part| (part.name.clone(), part.clone())).collect();
        let published = Arc::new(Published::new(self.revision, 1, parts));
        let rejected = take(&mut self.held, published.parts.values(), decode);
        self.serving = self.serving.advance(&published, &rejected.into_keys().collect()).0;
        self.snapshot =
            Arc::new(Snapshot::build(&self.snapshot, &self.serving, &self.held, FilesRead::Changed));
        forget(&mut self.held, &self.serving);
        self.snapshot.clone()
    }
}

/// The same part with bytes that nobody can read.
fn damaged(part: &Part) -> Part {
    Part::new(part.name.clone(), Bytes::from_static(b"\xff\xff"))
}

#[test]
fn lists_are_joined_by_backend_and_names_lead_back() {
    let mut world = World::default();
    let snapshot = world.publish(&[
        server("all", false),
        backend("b"),
        backend("a"),
        share("all", "b", &[(Kind::Tool, "b_x"), (Kind::Prompt, "b_p")]),
        share("all", "a", &[(Kind::Tool, "a_z"), (Kind::Tool, "a_y")]),
    ]);
    let all = snapshot.server("all").unwrap();
    assert_eq!(all.lists.of(Kind::Tool).first_page().items, r#"{"n":"a_z"},{"n":"a_y"},{"n":"b_x"}"#);
    let target = all.index.tool("b_x").unwrap();
    assert_eq!((target.backend.id.name.as_str(), target.original_name.as_ref()), ("b", "own b_x"));
    assert!(all.index.tool("b_p").is_none() && all.index.prompt("b_p").is_some());
    assert_eq!(all.instructions(&Identity::anonymous()).as_deref(), Some("# a\n\nabout a\n\n# b\n\nabout b"));
}

#[test]
fn a_template_that_matches_everything_takes_nobody_else_s_reads() {
    let mut world = World::default();
    let evil = share("all", "evil", &[(Kind::Template, "{+uri}")]);
    let a = share("all", "a", &[(Kind::Resource, "file:///a/1"), (Kind::Template, "note://{id}")]);
    let snapshot = world.publish(&[server("all", false), backend("a"), backend("evil"), a, evil.clone()]);
    let index = &snapshot.server("all").unwrap().index;
    for uri in ["file:///a/1", "file:///a/2", "note://7"] {
        assert!(
            matches!(index.resource(uri), Reading::One(target) if target.backend.id.name == name("a")),
            "{uri}"
        );
    }
    let alone = world.publish(&[server("all", false), backend("evil"), evil]);
    assert!(matches!(alone.server("all").unwrap().index.resource("x://y"), Reading::One(_)));
}

#[test]
fn more_templates_than_anybody_writes_are_not_tried() {
    let mut world = World::default();
    let many: Vec<String> = (0..200).map(|n| format!("note://{{a}}/{n}")).collect();
    let many: Vec<(Kind, &str)> = many.iter().map(|text| (Kind::Template, text.as_str())).collect();
    let a = share("all", "a", &[(Kind::Template, "note://{id}/7"), (Kind::Template, "memo://{id}")]);
    let snapshot =
        world.publish(&[server("all", false), backend("a"), backend("b"), a, share("all", "b", &many)]);
    let index = &snapshot.server("all").unwrap().index;
    assert!(matches!(index.resource("note://x/7"), Reading::Ambiguous), "nobody shadows another by numbers");
    assert!(matches!(index.resource("memo://x"), Reading::One(_)));
}

#[test]
fn what_is_hidden_is_neither_listed_nor_found() {
    let mut world = World::default();
    let items = [
        (Kind::Tool, "hidden_x"),
        (Kind::Tool, "x"),
        (Kind::Prompt, "hidden_p"),
        (Kind::Resource, "hidden://r"),
    ];
    let snapshot = world.publish(&[server("all", false), backend("a"), share("all", "a", &items)]);
    let all = snapshot.server("all").unwrap();
    assert_eq!(all.lists.of(Kind::Tool).first_page().items, r#"{"n":"x"}"#);
    assert!(all.lists.of(Kind::Prompt).first_page().items.is_empty());
    assert!(all.index.tool("x").is_some() && all.index.tool("hidden_x").is_none());
    assert!(all.index.prompt("hidden_p").is_none());
    assert!(matches!(all.index.resource("hidden://r"), Reading::Nobody));
}

#[test]
fn a_uri_is_read_by_exact_name_then_template_then_origin_and_never_by_guess() {
    let mut world = World::default();
    let snapshot = world.publish(&[
        server("all", false),
        backend("a"),
        backend("b"),
        share(
            "all",
            "a",
            &[(Kind::Resource, "x://h/1"), (Kind::Template, "y://{id}"), (Kind::Resource, "z://h/1")],
        ),
        share(
            "all",
            "b",
            &[(Kind::Resource, "y://7"), (Kind::Template, "y://{id}/more"), (Kind::Resource, "z://h/2")],
        ),
    ]);
    let index = &snapshot.server("all").unwrap().index;
    let owner = |uri: &str| match index.resource(uri) {
        Reading::One(target) => target.backend.id.name.to_string(),
        Reading::Nobody => "nobody".to_owned(),
        Reading::Ambiguous => "ambiguous".to_owned(),
    };
    let table = [
        ("x://h/1", "a"),
        ("y://7", "b"),
        ("y://8", "a"),
        ("y://8/more", "b"),
        ("x://h/other", "a"),
        ("z://h/3", "ambiguous"),
        ("z://other/1", "nobody"),
    ];
    for (uri, expected) in table {
        assert_eq!(owner(uri), expected, "{uri}");
    }
}

#[test]
fn an_unchanged_virtual_server_is_the_same_value() {
    let mut world = World::default();
    let both =
        [server("one", false), server("two", false), backend("a"), share("one", "a", &[(Kind::Tool, "x")])];
    let before = world.publish(&both);
    let mut changed = both.to_vec();
    changed.push(share("two", "a", &[(Kind::Tool, "x")]));
    let after = world.publish(&changed);
    assert!(Arc::ptr_eq(before.server("one").unwrap(), after.server("one").unwrap()));
    assert!(!Arc::ptr_eq(before.server("two").unwrap(), after.server("two").unwrap()));
    let fingerprint = |snapshot: &Snapshot| snapshot.server("two").unwrap().lists.of(Kind::Tool).fingerprint;
    assert_ne!(fingerprint(&before), fingerprint(&after));
}

#[test]
fn a_rejected_part_holds_its_virtual_server_whole_and_others_advance() {
    let mut world = World::default();
    let parts = |tool: &str| {
        vec![
            server("one", false),
            server("two", false),
            backend("a"),
            backend("b"),
            share("one", "a", &[(Kind::Tool, tool)]),
            share("one", "b", &[(Kind::Tool, &format!("b_{tool}"))]),
            share("two", "a", &[(Kind::Tool, tool)]),
        ]
    };
    world.publish(&parts("old"));
    let mut new = parts("new");
    new[5] = damaged(&new[5]);
    let snapshot = world.publish(&new);
    let has = |snapshot: &Snapshot, server: &str, tool: &str| {
        snapshot.server(server).is_some_and(|server| server.index.tool(tool).is_some())
    };
    assert!(has(&snapshot, "one", "old") && has(&snapshot, "one", "b_old"), "held whole");
    assert!(!has(&snapshot, "one", "new"));
    assert!(has(&snapshot, "two", "new"), "others advance");
    let snapshot = world.publish(&parts("new"));
    assert!(has(&snapshot, "one", "new") && has(&snapshot, "one", "b_new"), "and it follows when it can");
}

#[test]
fn what_has_never_been_good_is_closed() {
    let mut world = World::default();
    let share = share("one", "a", &[(Kind::Tool, "x")]);
    let snapshot = world.publish(&[server("one", false), backend("a"), damaged(&share)]);
    assert!(snapshot.server("one").is_none());
    let snapshot = world.publish(&[damaged(&server("one", false)), backend("a"), share.clone()]);
    assert!(snapshot.server("one").is_none());
    let snapshot = world.publish(&[server("one", false), share]);
    let one = snapshot.server("one").unwrap();
    assert!(one.index.tool("x").is_none(), "a share without its backend is inert");
}

#[test]
fn the_default_is_the_chosen_one_or_the_only_one() {
    let default = |parts: &[Part]| {
        World::default().publish(parts).default_server().map(|server| server.name.to_string())
    };
    assert_eq!(default(&[]), None);
    assert_eq!(default(&[server("a", false)]).as_deref(), Some("a"));
    assert_eq!(default(&[server("a", false), server("b", false)]), None);
    assert_eq!(default(&[server("a", false), server("b", true)]).as_deref(), Some("b"));
}

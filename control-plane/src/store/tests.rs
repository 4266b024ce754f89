use vmcp_core::item::{Item, Kind};
use vmcp_core::owners::Owner;
use vmcp_manifest::{Source, documents};

use vmcp_core::desired::{Endpoints, Transport};

use super::*;
use crate::introspect::Observation;
use crate::workloads::{FoundWorkload, FoundWorkloads};

fn written(text: &str) -> Vec<Written> {
    documents(Source { name: "m.yaml", text })
}

fn generation(number: u64) -> Generation {
    Generation { number, accepted_ms: 7, cause: "apply".into(), changes: vec!["+ group g".into()] }
}

fn id(name: &str) -> BackendId {
    BackendId { group: "g".parse().unwrap(), name: name.parse().unwrap() }
}

fn observed(tool: &str) -> Observation {
    let definition = format!(r#"{{"name":"{tool}","n":12345678901234567890123,"s":"\ud800"}}"#);
    let inventory = vmcp_core::inventory::Inventory {
        items: vec![Item::read(Kind::Tool, &definition).unwrap()],
        instructions: Some("be kind".into()),
        faults: vec!["a list was cut".into()],
        unread: vec![Kind::Prompt],
        eras: vmcp_core::inventory::Eras {
            modern: true,
            legacy: Some(vmcp_core::inventory::Legacy { version: "2025-11-25".into(), has_sessions: true }),
        },
        abilities: vmcp_core::inventory::Abilities {
            completes: true,
            logs: true,
            subscribes: false,
            extensions: vmcp_core::inventory::Extensions { tasks: true, apps: false },
        },
    };
    let url = Some("http://127.0.0.1:1/mcp".parse().unwrap());
    Observation { inventory: Some(Arc::new(inventory)), url, ..Observation::default() }
}

fn changes(backend: &str, tool: &str) -> Changes {
    let name: Name = backend.parse().unwrap();
    let owner = Owner { backend: name.clone(), original_name: tool.into() };
    let owners = Owners::from([((Kind::Tool, format!("{backend}_{tool}")), owner)]);
    Changes {
        observations: vec![(id(backend), Some(observed(tool)))],
        owners: BTreeMap::from([(("s".parse().unwrap(), name), owners)]),
        workloads: BTreeMap::from([("g".parse().unwrap(), Some(workloads()))]),
    }
}

fn workloads() -> FoundWorkloads {
    let endpoints =
        Endpoints { transport: Transport::Sse, ..Endpoints::at("http://127.0.0.1:1/sse".parse().unwrap()) };
    let labels = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
    FoundWorkloads::from([(
        "found".parse().unwrap(),
        FoundWorkload { endpoints, status: "running".into(), labels },
    )])
}

#[test]
fn what_is_stored_is_there_after_a_restart_and_no_number_comes_twice() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let text = "name: s\ngroup: g\nincoming_auth: {type: anonymous}\n---\n# kept\nkind: group\nname: g\nworkloads: []\n";
    store.accept(&generation(1), &written(text)).unwrap();
    assert_eq!(store.commit(&changes("b", "x"), 1).unwrap(), 1);
    assert_eq!(store.commit(&Changes::default(), 1).unwrap(), 2);
    store.remember(&changes("c", "y")).unwrap();
    let in_use = Store::open(folder.path()).unwrap_err();
    assert!(matches!(in_use, StoreFault::InUse(_)), "{in_use}");
    drop(store);

    let store = Store::open(folder.path()).unwrap();
    let stored = store.load().unwrap();
    assert_eq!((stored.generation, stored.published_generation), (1, 1));
    assert_eq!(stored.documents, written(text), "word for word");
    let known = &stored.observations[&id("b")];
    assert_eq!(known.inventory, observed("x").inventory, "byte for byte");
    assert!(known.is_stale && known.asked.is_none() && stored.observations.contains_key(&id("c")));
    let owners = &stored.owners[&"s".parse::<Name>().unwrap()];
    assert_eq!(owners[&(Kind::Tool, "b_x".to_owned())].original_name, "x");
    assert_eq!(store.commit(&Changes::default(), 1).unwrap(), 3, "2 was taken");
    store.continue_after(40).unwrap();
    assert_eq!(store.load().unwrap().published_generation, 1, "that is not a revision");
    assert_eq!(store.commit(&Changes::default(), 2).unwrap(), 41);
    store.continue_after(5).unwrap();
    assert_eq!(store.commit(&Changes::default(), 2).unwrap(), 42, "never back");

    let gone = Changes {
        observations: vec![(id("b"), None)],
        owners: BTreeMap::from([(("s".parse().unwrap(), "b".parse().unwrap()), Owners::new())]),
        workloads: BTreeMap::from([("g".parse().unwrap(), None)]),
    };
    assert_eq!(store.load().unwrap().workloads, BTreeMap::from([("g".parse().unwrap(), workloads())]));
    store.remember(&gone).unwrap();
    let stored = store.load().unwrap();
    assert!(stored.workloads.is_empty());
    assert_eq!(stored.observations.keys().collect::<Vec<_>>(), [&id("c")]);
    assert_eq!(stored.owners.values().map(BTreeMap::len).sum::<usize>(), 1);
}

#[test]
fn a_generation_is_written_once_and_the_oldest_are_forgotten_with_their_words() {
    let store = Store::in_memory().unwrap();
    let text = |number: u64| format!("kind: group\nname: g{number}\nworkloads: []\n");
    for number in 1..=limits::HISTORY + 3 {
        store.accept(&generation(number), &written(&text(number))).unwrap();
    }
    let again = store.accept(&generation(5), &written(&text(5))).unwrap_err();
    assert!(again.to_string().contains("is there already"), "{again}");
    assert_eq!(
        store.history(2).unwrap().iter().map(|entry| entry.number).collect::<Vec<_>>(),
        [1_003, 1_002]
    );
    assert!(store.generation(3).unwrap().is_none());
    let (entry, documents) = store.generation(4).unwrap().unwrap();
    assert_eq!((entry, documents), (generation(4), written(&text(4))));
}

#[test]
fn nothing_is_in_the_clear_and_another_key_or_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let text = "kind: group\nname: g\nworkloads: [{name: w, command: run, env: {SECRET: canary-1}}]\n";
    store.accept(&generation(1), &written(text)).unwrap();
    store.commit(&changes("b", "canary-2"), 1).unwrap();
    drop(store);
    let file = fs_err::read(folder.path().join("control-plane.redb")).unwrap();
    for word in ["canary-1", "canary-2", "be kind", "apply"] {
        assert!(
            !file.windows(word.len()).any(|window| window == word.as_bytes()),
            "`{word}` is in the clear"
        );
    }
    let key = folder.path().join("key");
    let good = fs_err::read(&key).unwrap();
    fs_err::write(&key, [7; 32]).unwrap();
    assert!(matches!(Store::open(folder.path()).unwrap_err(), StoreFault::OtherKey(_)));
    fs_err::write(&key, b"short").unwrap();
    assert!(matches!(Store::open(folder.path()).unwrap_err(), StoreFault::Key(_)));
    fs_err::remove_file(&key).unwrap();
    assert!(matches!(Store::open(folder.path()).unwrap_err(), StoreFault::NoKey(_)));
    fs_err::write(&key, good).unwrap();
    assert_eq!(Store::open(folder.path()).unwrap().load().unwrap().generation, 1);
}

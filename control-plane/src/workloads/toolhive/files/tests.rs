use std::io::Write;

use vmcp_testkit::ToolHiveHome;

use super::*;

struct Machine {
    home: ToolHiveHome,
    files: Files,
}

impl Machine {
    fn new() -> Self {
        let home = ToolHiveHome::new();
        home.group("g");
        let source = vmcp_core::desired::ToolHiveSource::Files { state: None, data: None };
        let toolhive = ToolHive { group: "g".into(), host: "127.0.0.1".into(), source };
        let folders = ToolHiveFolders { state: Some(home.state()), data: Some(home.data()) };
        Self { files: Files::new(&toolhive, folders), home }
    }

    fn look(&mut self) -> (Vec<String>, Vec<String>) {
        let seen = self.files.look().unwrap();
        let workloads = seen
            .workloads
            .iter()
            .map(|(name, workload)| format!("{name} {} {}", workload.endpoints.urls[0], workload.status));
        (workloads.collect(), seen.faults)
    }
}

#[test]
fn members_come_move_and_go() {
    let mut machine = Machine::new();
    assert_eq!(machine.look(), (vec![], vec![]));
    machine.home.workload("a", "g", 1, "running");
    machine.home.workload("b", "other", 2, "running");
    machine.home.workload("c", "g", 3, "stopped");
    let all = ["a http://127.0.0.1:1/mcp running", "c http://127.0.0.1:3/mcp stopped"];
    assert_eq!(machine.look(), (all.map(String::from).into(), vec![]));
    machine.home.workload("a", "other", 1, "running");
    machine.home.workload("b", "g", 9, "starting");
    machine.home.remove("c");
    assert_eq!(machine.look(), (vec!["b http://127.0.0.1:9/mcp starting".to_owned()], vec![]));
}

#[test]
fn what_is_damaged_is_what_it_was() {
    let mut machine = Machine::new();
    machine.home.workload("a", "g", 1, "running");
    let good = machine.look().0;
    machine.home.write(&machine.home.state().join("runconfigs/a.json"), r#"{"name": "a", "po"#);
    let (workloads, faults) = machine.look();
    assert_eq!(workloads, good);
    assert!(faults.len() == 1 && faults[0].contains("a.json cannot be read: EOF"), "{faults:?}");
    machine.home.write(&machine.home.data().join("statuses/a.json"), "\u{0}");
    let (workloads, faults) = machine.look();
    assert_eq!((workloads, faults.len()), (good.clone(), 2));
    machine.home.workload("a", "g", 2, "running");
    assert_eq!(machine.look(), (vec!["a http://127.0.0.1:2/mcp running".to_owned()], vec![]));
    machine.home.write(&machine.home.state().join("runconfigs/new.json"), "{");
    let (workloads, faults) = machine.look();
    assert_eq!((workloads.len(), faults.len()), (1, 1), "it has never been good");
}

#[test]
fn a_status_that_is_being_written_is_waited_for() {
    let mut machine = Machine::new();
    machine.home.workload("a", "g", 1, "starting");
    assert!(machine.look().0[0].ends_with("starting"));
    let lock = fs_err::File::create(machine.home.data().join("statuses/a.lock")).unwrap();
    lock.file().lock().unwrap();
    machine.home.write(&machine.home.data().join("statuses/a.json"), r#"{"status": "running"}"#);
    assert!(machine.look().0[0].ends_with("starting"), "somebody is writing");
    lock.file().unlock().unwrap();
    assert!(machine.look().0[0].ends_with("running"));
    lock.file().lock().unwrap();
    machine.home.write(&machine.home.data().join("statuses/a.json"), r#"{"status": "stopped"}"#);
    let began = Instant::now();
    while machine.look().0[0].ends_with("running") {
        assert!(began.elapsed() < Duration::from_secs(5), "a lock that nobody lets go of is not waited for");
        std::thread::yield_now();
    }
}

#[test]
fn folders_that_cannot_be_read_say_nothing_of_the_group() {
    let mut machine = Machine::new();
    machine.home.workload("a", "g", 1, "running");
    assert_eq!(machine.look().0.len(), 1);
    let state = machine.home.state();
    let away = state.with_file_name("away");
    fs_err::rename(&state, &away).unwrap();
    assert!(machine.files.look().unwrap_err().contains("groups cannot be read"));
    fs_err::rename(&away, &state).unwrap();
    let statuses = machine.home.data().join("statuses");
    fs_err::rename(&statuses, statuses.with_file_name("elsewhere")).unwrap();
    let (workloads, faults) = machine.look();
    assert_eq!(workloads, ["a http://127.0.0.1:1/mcp running"], "the last status stays");
    assert!(faults[0].contains("statuses cannot be read"), "{faults:?}");
    fs_err::remove_file(state.join("groups/g.json")).unwrap();
    assert!(machine.look().1[0].contains("ToolHive has no group `g`"));
}

#[test]
fn a_large_file_and_an_odd_name_are_left_out() {
    let mut machine = Machine::new();
    machine.home.workload("-odd", "g", 1, "running");
    let mut large = fs_err::File::create(machine.home.run_config_file("large")).unwrap();
    large.write_all(&vec![b' '; FILE_BYTES as usize + 1]).unwrap();
    let (workloads, faults) = machine.look();
    assert!(workloads.is_empty() && faults.len() == 2, "{faults:?}");
    assert!(faults.iter().any(|fault| fault.contains("`-odd` is left out")), "{faults:?}");
    assert!(faults.iter().any(|fault| fault.contains("is larger than")), "{faults:?}");
}

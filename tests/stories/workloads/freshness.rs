//! What backends change, with and without a word, and those that come and go.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use vmcp_testkit::{
    ControlPlane, DataPlane, Events, LEGACY, RawBackend, Recorded, Reply, Step, WireBackend, event, events,
    eventually, mcp_reply, modern, well,
};

use crate::two_planes::{PROGRAMS, data_plane, manifest};

/// A backend whose tools can be replaced, and which says so if it is to.
struct Changing {
    backend: WireBackend,
    tools: Arc<Mutex<String>>,
    changes: Arc<AtomicUsize>,
}

fn tool(name: &str) -> String {
    format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#)
}

impl Changing {
    /// It says that its tools have changed within 20 ms if `tells`, as its era does.
    async fn start(is_modern: bool, tells: bool) -> Self {
        let (tools, changes) = (Arc::new(Mutex::new(tool("a"))), Arc::<AtomicUsize>::default());
        let (listed, told) = (tools.clone(), changes.clone());
        let backend = WireBackend::start(move |recorded| {
            if tells && is_listening(recorded, is_modern) {
                return tell(&told, is_modern);
            }
            let tools = listed.lock().unwrap().clone();
            let refused = Reply::Status(StatusCode::METHOD_NOT_ALLOWED, String::new());
            well(mcp_reply(recorded, is_modern, &tools).unwrap_or(refused))
        })
        .await;
        Self { backend, tools, changes }
    }

    /// Changes are counted; the script looks whenever it may write.
    fn change(&self, tools: &[&str]) {
        let all: Vec<String> = tools.iter().map(|name| tool(name)).collect();
        *self.tools.lock().unwrap() = all.join(",");
        self.changes.fetch_add(1, Ordering::SeqCst);
    }
}

fn is_listening(recorded: &Recorded, is_modern: bool) -> bool {
    match is_modern {
        true => recorded.mcp_method().as_deref() == Some("subscriptions/listen"),
        false => recorded.method == http::Method::GET,
    }
}

/// A stream that says each change once, as a series of looks.
fn tell(changes: &Arc<AtomicUsize>, is_modern: bool) -> Vec<Step> {
    let meta = if is_modern {
        r#","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"vmcp-listen"}}"#
    } else {
        ""
    };
    let changed = format!(r#"{{"jsonrpc":"2.0","method":"notifications/tools/list_changed"{meta}}}"#);
    let mut steps = vec![events()];
    if is_modern {
        steps.push(event(
            r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"toolsListChanged":true}}}"#,
        ));
    }
    let Step::Write(changed) = event(&changed) else { panic!("an event") };
    steps.push(Step::WriteEach(changes.clone(), changed));
    steps
}

struct World {
    control_plane: ControlPlane,
    replicas: [DataPlane; 2],
}

impl World {
    async fn over(url: String) -> Self {
        let control_plane = ControlPlane::start(PROGRAMS).await;
        let replicas = [data_plane(&control_plane, &[]).await, data_plane(&control_plane, &[]).await];
        let manifest = manifest("all", "", &[("b", url)]);
        control_plane.apply(&manifest, &["--wait"]).await.good();
        Self { control_plane, replicas }
    }

    async fn lists_within(&self, expected: &[&str], patience: Duration) -> Duration {
        let began = Instant::now();
        for replica in &self.replicas {
            let lists = eventually(patience, async || replica.tools().await == expected).await;
            assert!(
                lists,
                "{:?} in place of {expected:?}: {}",
                replica.tools().await,
                self.control_plane.process().log()
            );
        }
        began.elapsed()
    }
}

/// Every time that a client hears that tools have changed.
fn heard(mut stream: Events) -> Arc<Mutex<Vec<Instant>>> {
    let told = Arc::<Mutex<Vec<Instant>>>::default();
    let times = told.clone();
    tokio::spawn(async move {
        while let Some(message) = stream.next_within(Duration::from_secs(120)).await {
            if message.contains("notifications/tools/list_changed") {
                times.lock().unwrap().push(Instant::now());
            }
        }
    });
    told
}

async fn listeners(replica: &DataPlane) -> [Arc<Mutex<Vec<Instant>>>; 2] {
    let legacy = replica.client().listen(LEGACY, None).await;
    let (headers, body) = modern("subscriptions/listen", r#""notifications":{"toolsListChanged":true}"#);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let modern = replica.client().listen(&headers, Some(body)).await;
    [heard(legacy), heard(modern)]
}

#[tokio::test]
async fn workloads_03_a_change_that_is_said_is_on_every_replica_within_a_second_and_told_once() {
    for is_modern in [true, false] {
        let backend = Changing::start(is_modern, true).await;
        let world = World::over(backend.backend.url()).await;
        world.lists_within(&["b_a"], Duration::from_secs(5)).await;
        let told = listeners(&world.replicas[0]).await;
        // No more than once a second is anybody asked, so that a second must have passed since the last time.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        for change in [&["a", "b"][..], &["a", "b", "c"], &["a", "c"]] {
            backend.change(change);
        }
        let took = world.lists_within(&["b_a", "b_c"], Duration::from_secs(1)).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
        for told in &told {
            assert!(eventually(Duration::from_secs(1), async || !told.lock().unwrap().is_empty()).await);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        for told in &told {
            assert_eq!(told.lock().unwrap().len(), 1, "one for all that came together");
        }
    }
}

#[tokio::test]
async fn workloads_03_a_change_that_nobody_says_is_found_within_the_refresh_interval() {
    let (silent, old) = (Changing::start(false, false).await, Changing::start(true, false).await);
    let (one, two) = (World::over(silent.backend.url()).await, World::over(old.backend.url()).await);
    silent.change(&["new"]);
    old.change(&["new"]);
    let limit = Duration::from_secs(62);
    let (one, two) = tokio::join!(one.lists_within(&["b_new"], limit), two.lists_within(&["b_new"], limit));
    assert!(one < limit && two < limit, "{one:?} {two:?}");
}

#[tokio::test]
async fn workloads_03_lists_that_are_good_for_a_while_are_asked_for_again_after_it() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let times = asked.clone();
    let backend = RawBackend::start(move |recorded: &Recorded| {
        if recorded.mcp_method().as_deref() == Some("tools/list") {
            times.lock().unwrap().push(Instant::now());
            let reply = mcp_reply(recorded, true, &tool("a")).unwrap();
            let Reply::Json(body) = reply else { panic!("a body") };
            return Reply::Json(body.replace("\"ttlMs\":0", "\"ttlMs\":6000"));
        }
        let refused = Reply::Status(StatusCode::METHOD_NOT_ALLOWED, String::new());
        mcp_reply(recorded, true, &tool("a")).unwrap_or(refused)
    })
    .await;
    let _world = World::over(backend.url()).await;
    let is_asked = eventually(Duration::from_secs(20), async || asked.lock().unwrap().len() >= 3);
    assert!(is_asked.await);
    let times = asked.lock().unwrap().clone();
    for pair in times.windows(2) {
        let apart = pair[1] - pair[0];
        assert!((5_500..9_000).contains(&apart.as_millis()), "{apart:?}");
    }
}

/// A door before a backend that opens and closes; it counts who knocks.
struct Door {
    url: String,
    is_open: Arc<AtomicBool>,
    knocks: Arc<AtomicUsize>,
}

impl Door {
    async fn before(backend: &WireBackend) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let behind = backend.url().trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
        let (is_open, knocks) = (Arc::new(AtomicBool::new(true)), Arc::<AtomicUsize>::default());
        let (open, count) = (is_open.clone(), knocks.clone());
        tokio::spawn(async move {
            while let Ok((mut outside, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (open, behind) = (open.clone(), behind.clone());
                tokio::spawn(async move {
                    if !open.load(Ordering::SeqCst) {
                        return;
                    }
                    let Ok(mut inside) = TcpStream::connect(behind).await else { return };
                    let closes = async {
                        while open.load(Ordering::SeqCst) {
                            tokio::time::sleep(Duration::from_millis(10)).await;
                        }
                    };
                    tokio::select! {
                        _ = copy_bidirectional(&mut outside, &mut inside) => {}
                        () = closes => {}
                    }
                });
            }
        });
        Self { url, is_open, knocks }
    }
}

#[tokio::test]
async fn workloads_03_a_backend_that_flaps_disturbs_nobody() {
    let backend = Changing::start(true, true).await;
    let door = Door::before(&backend.backend).await;
    let world = World::over(door.url.clone()).await;
    world.lists_within(&["b_a"], Duration::from_secs(5)).await;
    let told = listeners(&world.replicas[0]).await;
    let (began, before) = (Instant::now(), door.knocks.load(Ordering::SeqCst));
    // Two seconds there and two seconds away, and other tools each time.
    for turn in 0..10_usize {
        door.is_open.store(turn.is_multiple_of(2), Ordering::SeqCst);
        let names = if turn.is_multiple_of(4) { vec!["a", "b"] } else { vec!["a"] };
        backend.change(&names);
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            for replica in &world.replicas {
                let tools = replica.tools().await;
                assert!(tools.contains(&"b_a".to_owned()), "it is listed all the time: {tools:?}");
            }
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let knocks = door.knocks.load(Ordering::SeqCst) - before;
    assert!((knocks as f64) < seconds, "{knocks} connections in {seconds} s");
    for told in told {
        let times = told.lock().unwrap().clone();
        assert!(times.len() <= 1 + seconds as usize / 5, "{times:?}");
        for pair in times.windows(2) {
            assert!(pair[1] - pair[0] >= Duration::from_millis(4_900), "{:?}", pair[1] - pair[0]);
        }
    }
}

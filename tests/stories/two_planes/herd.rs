//! Three hundred replicas that have lost the same control plane.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use vmcp_revision::protocol::{Following, Report};
use vmcp_revision::{Follower, Verdict, remote};
use vmcp_runtime::Drain;
use vmcp_testkit::{ControlPlane, eventually};

use super::{PROGRAMS, backend, manifest, number};

const REPLICAS: usize = 300;

/// Stands between the replicas and the control plane and notes when anybody comes.
struct Door {
    address: SocketAddr,
    came: Arc<Mutex<Vec<Instant>>>,
}

impl Door {
    async fn open(to: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let came = Arc::<Mutex<Vec<Instant>>>::default();
        let noted = came.clone();
        tokio::spawn(async move {
            while let Ok((mut inside, _)) = listener.accept().await {
                noted.lock().unwrap().push(Instant::now());
                let to = to.clone();
                tokio::spawn(async move {
                    if let Ok(mut outside) = TcpStream::connect(to).await {
                        // It ends when either side does.
                        let _ = tokio::io::copy_bidirectional(&mut inside, &mut outside).await;
                    }
                });
            }
        });
        Self { address, came }
    }

    fn came_since(&self, when: Instant) -> Vec<Duration> {
        let came = self.came.lock().unwrap();
        came.iter().filter(|at| **at >= when).map(|at| at.duration_since(when)).collect()
    }
}

/// A replica that takes everything and serves nobody.
fn simulate(number: usize, address: SocketAddr, drain: &Drain) {
    let following =
        Following::new(format!("simulated-{number:03}"), "0".to_owned(), Vec::new(), Arc::default());
    let source = remote(format!("http://{address}").parse().unwrap(), None);
    let mut follower =
        Follower::start(following, vec![source], || (Report::default(), Duration::from_secs(5)), 0, drain);
    drain.spawn(async move {
        while let Some(published) = follower.next().await {
            let (rejected, held_back) = (Vec::new(), Vec::new());
            follower.answer(Verdict { published, rejected, held_back, spill_error: None }).await;
        }
    });
}

async fn connected(control_plane: &ControlPlane) -> usize {
    let status = control_plane.page("/status").request(reqwest::Method::GET, &[]).await.json();
    let replicas = status["replicas"].as_array().cloned().unwrap_or_default();
    let is_current = |replica: &&serde_json::Value| {
        replica["connected"] == true
            && replica["answered"] == true
            && replica["revision"] == status["revision"]
    };
    replicas.iter().filter(is_current).count()
}

#[tokio::test]
async fn two_planes_09_three_hundred_replicas_come_back_soon_and_not_all_at_once() {
    let one = backend("one", 20).await;
    let mut control_plane = ControlPlane::start(PROGRAMS).await;
    control_plane.apply(&manifest("all", "", &[("one", one.url())]), &["--wait"]).await.good();
    let door = Door::open(control_plane.publish_url().replace("http://", "")).await;
    let drain = Drain::new();
    (0..REPLICAS).for_each(|number| simulate(number, door.address, &drain));
    let are_here = eventually(Duration::from_secs(20), async || connected(&control_plane).await == REPLICAS);
    assert!(are_here.await, "{} have come", connected(&control_plane).await);

    control_plane.kill();
    let killed = Instant::now();
    tokio::time::sleep(Duration::from_secs(3)).await;
    control_plane.start_again().await;
    let started = Instant::now();
    let are_back = eventually(Duration::from_secs(10), async || connected(&control_plane).await == REPLICAS);
    assert!(are_back.await, "{} are back after 10 s", connected(&control_plane).await);
    let took = started.elapsed();

    let attempts = door.came_since(killed);
    let mut tenths = vec![0_usize; 200];
    for attempt in &attempts {
        let tenth = usize::try_from(attempt.as_millis() / 100).unwrap();
        tenths[tenth.min(199)] += 1;
    }
    let most = tenths.iter().max().copied().unwrap_or_default();
    println!("{} attempts, at most {most} in 100 ms; all back after {took:?}", attempts.len());
    assert!(most * 100 <= attempts.len() * 5, "{most} of {} attempts in 100 ms: {tenths:?}", attempts.len());

    let status = control_plane.status().await;
    let bytes = status["replicas"].as_array().unwrap().iter().map(|replica| number(&replica["bytes"])).max();
    assert!(bytes <= Some(4 * 1024), "nothing has changed, and somebody was sent {bytes:?} bytes");
    drain.stop();
}

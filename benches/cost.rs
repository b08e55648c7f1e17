//! What a run costs: requests, seconds against the longest chain of requests that cannot be avoided, memory.
//!
//! `cargo bench --bench cost` starts the embedded GitLab and Factory with 50 ms added to each answer, lets the real
//! binary converge on them, and prints the table that stands in `docs/cost.md`. Counts are exact; times and memory
//! are medians of a few runs on the machine at hand.

#![expect(clippy::expect_used, reason = "a benchmark that cannot run has nothing to report")]

use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use setpoint::sandbox::faults::{Action, Intercept, Seen, Side};
use setpoint::sandbox::world::{Group, Project, Visibility};
use setpoint::sandbox::{self, Options, Sandbox};

const LATENCY: Duration = Duration::from_millis(50);
const RUNS: usize = 5;

/// What GitLab took for one of its pages, where GitLab's own code was run: of the 1.75 s of eight requests of a web
/// session, 0.8 s were the sign-in, and the other seven had a seventh of the rest each.
const PAGE: Duration = Duration::from_millis(136);
/// What its answer to a password took.
const SIGN_IN: Duration = Duration::from_millis(800);
/// The key of the administrator's authenticator.
const TOTP: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn main() {
    println!("| what | requests | writes | seconds | against the chain | peak memory |");
    println!("|---|---|---|---|---|---|");
    validate();
    for (repositories, latency) in [(100, LATENCY), (1_000, LATENCY), (10_000, Duration::ZERO)] {
        scenario(repositories, latency);
    }
    web_session();
    time_codes();
}

/// Answers as slowly as GitLab does, once it is told to.
#[derive(Default)]
struct Slow(AtomicBool);

impl Intercept for Slow {
    fn before(&self, request: &Seen) -> Action {
        if !self.0.load(Ordering::Relaxed) {
            return Action::Pass;
        }
        let pause = match request.side {
            Side::Factory => LATENCY,
            Side::Gitlab if request.method == "POST" && request.path == "/users/sign_in" => SIGN_IN,
            Side::Gitlab => PAGE,
        };
        Action::Delay(u64::try_from(pause.as_millis()).expect("a short latency"))
    }
}

/// Plans with nothing to do that read `trusted` in an administrator's session.
fn web_session() {
    let world = World::as_gitlab();
    let before = world.requests();
    let plans: Vec<Run> = (0..RUNS).map(|_| world.run(&["plan", "--detailed-exitcode"])).collect();
    let after = world.requests();
    let counts = ((after.0 - before.0) / RUNS as u64, (after.1 - before.1) / RUNS as u64);
    // The settings, which say whether signing in is safe; the sign-in page, the password, whose session it is, the
    // application's page, the sign-out.
    let chain = PAGE * 5 + SIGN_IN;
    row(
        "`plan` with nothing to do, an administrator's session, answers as slow as GitLab's",
        Some(counts),
        &plans,
        Some(chain),
    );
}

/// The same with an authenticator and Admin Mode, from the beginning of a step of the clock: two codes and one wait.
fn time_codes() {
    let world = World::as_gitlab();
    world.sandbox.with_world(|world| {
        world.switches.admin_mode = true;
        let root = world.users.iter_mut().find(|user| user.username == "root");
        root.expect("the sandbox has an administrator").totp_secret = Some(TOTP.to_owned());
    });
    let now = || std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_millis();
    std::thread::sleep(Duration::from_millis(
        u64::try_from(30_000 - now() % 30_000).expect("one step"),
    ));
    let before = world.requests();
    let plan = world.run(&["plan", "--detailed-exitcode"]);
    let after = world.requests();
    row(
        "`plan` with nothing to do, the same with time codes and Admin Mode",
        Some((after.0 - before.0, after.1 - before.1)),
        &[plan],
        None,
    );
}

/// The quickstart file, with no network at all.
fn validate() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart.toml");
    let runs: Vec<Run> = (0..RUNS * 4)
        .map(|_| run(Command::new(binary()).args(["validate", "-c"]).arg(&file)))
        .collect();
    row("`validate` on the quickstart file", None, &runs, None);
}

/// A first apply, then plans with nothing to do.
fn scenario(repositories: u64, latency: Duration) {
    let world = World::start(repositories, latency);
    let label = if latency.is_zero() {
        "no latency".to_owned()
    } else {
        format!("{} ms", latency.as_millis())
    };

    let before = world.requests();
    let first = world.run(&["apply", "--auto-approve"]);
    let after = world.requests();
    let counts = (after.0 - before.0, after.1 - before.1);
    row(
        &format!("first `apply`, {repositories} repositories, {label}"),
        Some(counts),
        &[first],
        None,
    );

    let before = world.requests();
    let plans: Vec<Run> = (0..RUNS).map(|_| world.run(&["plan", "--detailed-exitcode"])).collect();
    let after = world.requests();
    let counts = ((after.0 - before.0) / RUNS as u64, (after.1 - before.1) / RUNS as u64);
    // Factory hands out its list a page of 100 at a time, each page named by the one before: nothing runs ahead of it.
    let chain = latency * u32::try_from(repositories.div_ceil(100)).expect("few pages");
    row(
        &format!("`plan` with nothing to do, {repositories} repositories, {label}"),
        Some(counts),
        &plans,
        Some(chain),
    );
}

fn row(what: &str, counts: Option<(u64, u64)>, runs: &[Run], chain: Option<Duration>) {
    let mut seconds: Vec<f64> = runs.iter().map(|run| run.wall.as_secs_f64()).collect();
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    let memory = runs.iter().map(|run| run.peak_kib).max().unwrap_or_default();
    let (requests, writes) = counts.map_or(("–".to_owned(), "–".to_owned()), |(all, writes)| {
        (all.to_string(), writes.to_string())
    });
    let ratio = chain.filter(|chain| !chain.is_zero()).map_or("–".to_owned(), |chain| {
        format!("{:.2} × {:.2} s", median / chain.as_secs_f64(), chain.as_secs_f64())
    });
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let mebibytes = memory as f64 / 1024.0;
    println!("| {what} | {requests} | {writes} | {median:.3} | {ratio} | {mebibytes:.1} MiB |");
}

/// What one run of the binary took.
struct Run {
    wall: Duration,
    peak_kib: u64,
}

fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_setpoint"))
}

/// Runs to the end and reads the kernel's high-water mark of the resident set while it lives.
fn run(command: &mut Command) -> Run {
    // Into a file, not a pipe: ten thousand lines would fill it, and the child would wait for a reader.
    let mut said = tempfile::tempfile().expect("a temporary file");
    let stderr = said.try_clone().expect("one more handle");
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .expect("the binary starts");
    let status_file = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    let status = loop {
        peak_kib = peak_kib.max(high_water_mark(&status_file));
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let wall = started.elapsed();
    let mut stderr = String::new();
    said.rewind().expect("a file can be read again");
    said.read_to_string(&mut stderr).expect("messages are text");
    assert!(status.success(), "{command:?} ended with {status}:\n{stderr}");
    Run { wall, peak_kib }
}

fn high_water_mark(status_file: &str) -> u64 {
    std::fs::read_to_string(status_file)
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
            line.split_whitespace().nth(1)?.parse().ok()
        })
        .unwrap_or_default()
}

const SESSION: &str = r#"[gitlab.admin_session]
username = "root"
password = { env = "BENCH_ADMIN_PASSWORD" }
totp_secret = { env = "BENCH_ADMIN_TOTP" }
"#;

/// The sandbox on a thread of its own, so that its work is not the measured process's.
struct World {
    sandbox: Sandbox,
    _runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
}

impl World {
    /// A hundred repositories, put in order with an administrator's session, and from then on answers as slow as GitLab's.
    fn as_gitlab() -> Self {
        let slow = Arc::new(Slow::default());
        let world = Self::with(100, Duration::ZERO, Some(&slow));
        world.run(&["apply", "--auto-approve"]);
        slow.0.store(true, Ordering::Relaxed);
        world
    }

    fn start(repositories: u64, latency: Duration) -> Self {
        Self::with(repositories, latency, None)
    }

    fn with(repositories: u64, latency: Duration, slow: Option<&Arc<Slow>>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime starts");
        let sandbox = runtime
            .block_on(sandbox::start(Options {
                intercept: slow.map(|slow| Arc::clone(slow) as Arc<dyn Intercept>),
                ..Options::default()
            }))
            .expect("loopback has free ports");
        sandbox.with_world(|world| {
            world.switches.latency_ms = u64::try_from(latency.as_millis()).expect("a short latency");
            world.groups.push(Group {
                id: 900_000,
                full_path: "bench".to_owned(),
                name: "bench".to_owned(),
                visibility: Visibility::Private,
                ..Group::default()
            });
            let first = world
                .projects
                .iter()
                .map(|project| project.id)
                .max()
                .unwrap_or_default()
                + 1;
            for number in 0..repositories {
                world.projects.push(Project {
                    id: first + number,
                    full_path: format!("bench/service-{number:05}"),
                    name: format!("service-{number:05}"),
                    group_id: Some(900_000),
                    visibility: Visibility::Private,
                    ..Project::default()
                });
            }
            world.projects.retain(|project| project.full_path.starts_with("bench/"));
        });
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (session, trusted) = match slow {
            Some(_) => (SESSION, true),
            None => ("", false),
        };
        let config = format!(
            r#"[gitlab]
url = "{gitlab}"
token = {{ env = "BENCH_GITLAB_TOKEN" }}
{session}[factory]
driver = "api"
api_url = "{api}"
app_url = "{app}"
token = {{ env = "BENCH_FACTORY_TOKEN" }}
[application]
redirect_uri = "{api}/api/integrations/redirect/gitlab-sh/callback"
name = "Factory Integration"
trusted = {trusted}
[user]
name = "Factory Droid"
username = "factory-droid"
email = "factory-droid@example.com"
password = {{ env = "BENCH_DROID_PASSWORD" }}
[user.memberships]
"bench" = "developer"
[repositories]
enable = ["bench/**"]
"#,
            gitlab = sandbox.gitlab_url(),
            api = sandbox.factory_api_url(),
            app = sandbox.factory_app_url(),
        );
        std::fs::write(folder.path().join("setpoint.toml"), config).expect("the folder is ours");
        Self {
            sandbox,
            _runtime: runtime,
            folder,
        }
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let credentials = self.sandbox.credentials();
        run(Command::new(binary())
            .args(arguments)
            .current_dir(self.folder.path())
            .env("BENCH_GITLAB_TOKEN", credentials.gitlab_token)
            .env("BENCH_FACTORY_TOKEN", credentials.factory_key)
            .env("BENCH_DROID_PASSWORD", credentials.droid_password)
            .env("BENCH_ADMIN_PASSWORD", sandbox::ROOT_PASSWORD)
            .env("BENCH_ADMIN_TOTP", TOTP))
    }

    /// Requests of ours so far, and the writes among them. Factory's own requests to GitLab are not ours.
    fn requests(&self) -> (u64, u64) {
        let mut log = self.sandbox.requests();
        log.retain(|request| !request.by_factory);
        (
            log.len() as u64,
            log.iter().filter(|request| request.write).count() as u64,
        )
    }
}

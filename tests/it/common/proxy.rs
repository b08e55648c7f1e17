//! A proxy of a test's own between the binary and the sandbox: it looks at the requests, loses their answers, and kills the
//! binary at any of them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use setpoint::sandbox::{Action, Intercept, Options, Seen};

use super::{Fixture, Ran};

/// Before a request is processed, or after it was and before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing has happened yet.
    Before,
    /// It was processed; the answer is not sent yet.
    After,
}

type Script = Box<dyn FnMut(&Seen, Phase) -> Action + Send>;

/// The proxy. It lets everything pass until it has a script.
#[derive(Default)]
pub(crate) struct Proxy {
    script: Mutex<Option<Script>>,
    client: Client,
}

/// The binary that runs behind the proxy.
#[derive(Debug, Clone, Default)]
pub(crate) struct Client(Arc<AtomicU32>);

impl Client {
    /// Kills it, as the power cord would. What is done to the request is no answer, and not even an end: the client is
    /// dead before it could see either.
    pub(crate) fn kill(&self) -> Action {
        let client = self.0.load(Ordering::SeqCst).to_string();
        let killed = std::process::Command::new("kill").args(["-9", &client]).status();
        assert!(killed.is_ok_and(|status| status.success()), "the client is killed");
        Action::Hang
    }
}

impl Proxy {
    /// A fixture with this proxy before its sandbox.
    pub(crate) async fn on(mut options: Options) -> (Fixture, Arc<Self>) {
        let proxy = Arc::new(Self::default());
        let intercept: Arc<dyn Intercept> = Arc::clone(&proxy) as Arc<dyn Intercept>;
        options.intercept = Some(intercept);
        (Fixture::with(options).await, proxy)
    }

    /// Follows a script from now on. Requests that Factory makes itself are not shown to it.
    pub(crate) fn intercept(&self, script: impl FnMut(&Seen, Phase) -> Action + Send + 'static) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(script));
    }

    /// Lets everything pass again.
    pub(crate) fn pass_all(&self) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What a script kills.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Runs a command line that the script may kill. A killed one has the exit code -1.
    pub(crate) async fn run(&self, fixture: &Fixture, arguments: &[&str]) -> Ran {
        self.run_command(fixture.command(arguments)).await
    }

    /// The same of a command line of one's own making.
    pub(crate) async fn run_command(&self, mut command: tokio::process::Command) -> Ran {
        command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let child = command.spawn().expect("the binary starts");
        self.client.0.store(child.id().unwrap_or_default(), Ordering::SeqCst);
        let output = child.wait_with_output().await.expect("the binary ends");
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn act(&self, request: &Seen, phase: Phase) -> Action {
        if request.by_factory() {
            return Action::Pass;
        }
        match &mut *self.script.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(script) => script(request, phase),
            None => Action::Pass,
        }
    }
}

impl Intercept for Proxy {
    fn before(&self, request: &Seen) -> Action {
        self.act(request, Phase::Before)
    }

    fn after(&self, request: &Seen, _status: u16) -> Action {
        self.act(request, Phase::After)
    }
}

/// How a run is cut off at one of its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Killed before the request is processed.
    KilledBefore,
    /// Killed when it was processed and not answered.
    KilledAfter,
    /// It was processed, and the answer is lost.
    AnswerLost,
}

/// Cuts a command line off at each write that it makes, in the three ways in turn, of which this is the first, and always
/// from the same beginning; `check` then gets the fixture with a text that says where it was cut.
pub(crate) async fn cut_at_each_write(
    fixture: &Fixture,
    proxy: &Proxy,
    arguments: &[&str],
    first: Cut,
    check: impl AsyncFn(&Fixture, &str),
) {
    let world = fixture.sandbox.with_world(|world| world.clone());
    let files = files_below(fixture.folder());
    let before = fixture.sandbox.requests().len();
    fixture.run(arguments).await;
    let log = fixture.sandbox.requests();
    let writes: Vec<String> = log[before..]
        .iter()
        .filter(|request| request.write && !request.by_factory)
        .map(|request| format!("{} {}", request.method, request.path))
        .collect();
    assert!(writes.len() > 3, "{writes:?}");
    let cuts = [Cut::KilledBefore, Cut::KilledAfter, Cut::AnswerLost];
    let cuts = cuts.into_iter().cycle().skip_while(|cut| *cut != first);
    for ((at, write), cut) in writes.iter().enumerate().zip(cuts) {
        fixture.sandbox.with_world(|now| *now = world.clone());
        for (path, bytes) in &files {
            std::fs::write(path, bytes).expect("the file is put back");
        }
        let mut seen = 0;
        let client = proxy.client();
        proxy.intercept(move |request, phase| {
            if !request.write {
                return Action::Pass;
            }
            seen += usize::from(phase == Phase::Before);
            match (cut, phase) {
                _ if seen != at + 1 => Action::Pass,
                (Cut::KilledBefore, Phase::Before) | (Cut::KilledAfter, Phase::After) => client.kill(),
                (Cut::AnswerLost, Phase::After) => Action::Drop,
                _ => Action::Pass,
            }
        });
        proxy.run(fixture, arguments).await;
        proxy.pass_all();
        check(fixture, &format!("{cut:?} at {write} ({at})")).await;
    }
}

/// All files below a folder with their contents.
fn files_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is read") {
        let path = entry.expect("the entry is read").path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push((path.clone(), std::fs::read(path).expect("the file is read")));
        }
    }
    found
}

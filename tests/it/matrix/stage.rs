//! One stage: a sandbox with a world of its own, a folder, and the real binary between the two.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};

use setpoint::sandbox::{self, Intercept, Options, RequestLog, Sandbox, World};
use tempfile::TempDir;

use super::scenario::Setting;

/// The servers of all stages live here. Interceptors block while they kill, hence more threads than processors.
static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(8)
        .enable_all()
        .build()
        .expect("a runtime")
});

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; `None` where a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// All of it, for a report.
    pub(crate) fn all(&self) -> String {
        format!("exit {:?}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}

/// What is left of a stage and can be set up again: the world, and the files of the folder.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) world: World,
    files: Vec<(String, Vec<u8>)>,
}

/// A sandbox, a folder, and the program that may be running.
pub(crate) struct Stage {
    pub(crate) sandbox: Option<Sandbox>,
    folder: TempDir,
    child: Arc<Mutex<Option<Child>>>,
}

/// Where the record is, unless GitLab keeps it.
const RECORD: &str = ".setpoint/state.json";
/// The files that make up what the program remembers.
const FILES: [&str; 2] = [RECORD, "secret"];

impl Stage {
    /// Sets up a world; `intercept` is handed the place of the running program, to end it.
    pub(crate) fn new(
        from: &Snapshot,
        intercept: impl FnOnce(Arc<Mutex<Option<Child>>>) -> Option<Arc<dyn Intercept>>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let child = Arc::new(Mutex::new(None));
        let options = Options {
            // Both sides call themselves by names that stay, so that a world can move to other ports.
            gitlab_external_url: Some("https://gitlab.example.com".to_owned()),
            factory_api_external: Some("https://api.factory.ai".to_owned()),
            factory_app_external: Some("https://app.factory.ai".to_owned()),
            intercept: intercept(Arc::clone(&child)),
            ..Options::default()
        };
        let sandbox = RUNTIME.block_on(sandbox::start(options)).expect("the sandbox starts");
        sandbox.with_world(|world| *world = from.world.clone());
        for (name, bytes) in &from.files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("a folder");
            std::fs::write(path, bytes).expect("a file is written");
        }
        Self {
            sandbox: Some(sandbox),
            folder,
            child,
        }
    }

    fn sandbox(&self) -> &Sandbox {
        self.sandbox
            .as_ref()
            .expect("it is stopped only when the stage is dropped")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes the configuration.
    pub(crate) fn configure(&self, setting: &Setting) {
        self.configure_as(|gitlab, factory| setting.render(gitlab, factory));
    }

    /// Writes a configuration, which is told where both sides are.
    pub(crate) fn configure_as(&self, text: impl FnOnce(&str, &str) -> String) {
        let sandbox = self.sandbox();
        let text = text(&sandbox.gitlab_url(), &sandbox.factory_api_url());
        std::fs::write(self.folder.path().join("setpoint.toml"), text).expect("the configuration is written");
    }

    /// A command line in the folder, with the sandbox's credentials.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let keys = self.sandbox().credentials();
        let mut command = crate::program();
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("USER", "tester")
            .env("GITLAB_TOKEN", keys.gitlab_token)
            .env("GITLAB_ADMIN_PASSWORD", keys.root_password)
            .env("FACTORY_API_KEY", keys.factory_key)
            .env("FACTORY_DROID_PASSWORD", keys.droid_password)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end, its own or another's.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        let (mut stdout, mut stderr) = {
            // Held over the start: an interceptor that wants to kill must find it here.
            let mut place = self.child.lock().expect("no interceptor panics");
            let mut child = self.command(arguments).spawn().expect("the program starts");
            let pipes = (child.stdout.take(), child.stderr.take());
            *place = Some(child);
            (pipes.0.expect("a pipe"), pipes.1.expect("a pipe"))
        };
        let errors = std::thread::spawn(move || {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).map(|_| text)
        });
        let mut out = Vec::new();
        stdout.read_to_end(&mut out).expect("standard output is read");
        let errors = errors
            .join()
            .expect("it does not panic")
            .expect("standard error is read");
        let child = self.child.lock().expect("no interceptor panics").take();
        let status = child.expect("it is there").wait().expect("it ends");
        Ended {
            code: status.code(),
            stdout: String::from_utf8_lossy(&out).into_owned(),
            stderr: String::from_utf8_lossy(&errors).into_owned(),
        }
    }

    /// The requests of the program so far, without those that Factory made to serve them.
    pub(crate) fn requests(&self) -> Vec<RequestLog> {
        let mut requests = self.sandbox().requests();
        requests.retain(|request| !request.by_factory);
        requests
    }

    /// Brings both sides back, where one has gone away, and waits until they listen again.
    pub(crate) fn come_back(&self) {
        let sandbox = self.sandbox();
        sandbox.come_back();
        for url in [sandbox.gitlab_url(), sandbox.factory_api_url()] {
            let address = url.trim_start_matches("http://").to_owned();
            let begun = std::time::Instant::now();
            while std::net::TcpStream::connect(&address).is_err() {
                assert!(begun.elapsed().as_secs() < 30, "{address} does not come back");
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
    }

    /// The record as it is stored; none where there is none yet.
    pub(crate) fn record(&self) -> Option<String> {
        let stored = self.sandbox().with_world(|world| {
            let state = world.terraform_states.first()?;
            state.content.clone()
        });
        stored.or_else(|| std::fs::read_to_string(self.folder.path().join(RECORD)).ok())
    }

    /// The world as it is now.
    pub(crate) fn world(&self) -> World {
        self.sandbox().with_world(|world| world.clone())
    }

    /// What can be set up again.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let files = FILES
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::fs::read(self.folder.path().join(name)).ok()?)))
            .collect();
        Snapshot {
            world: self.world(),
            files,
        }
    }
}

impl Snapshot {
    /// A world before anything was applied.
    pub(crate) fn of(world: World) -> Self {
        Self {
            world,
            files: Vec::new(),
        }
    }

    /// The same files in another world.
    pub(crate) fn with_world(self, world: World) -> Self {
        Self { world, ..self }
    }

    /// One of the files.
    pub(crate) fn file(&self, name: &str) -> Option<Vec<u8>> {
        let (_, bytes) = self.files.iter().find(|(known, _)| known == name)?;
        Some(bytes.clone())
    }

    /// With another content of a file, or without it.
    pub(crate) fn with_file(mut self, name: &str, bytes: Option<Vec<u8>>) -> Self {
        self.files.retain(|(known, _)| known != name);
        self.files.extend(bytes.map(|bytes| (name.to_owned(), bytes)));
        self
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.lock().ok().and_then(|mut place| place.take()) {
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(sandbox) = self.sandbox.take() {
            let _ = RUNTIME.block_on(sandbox.stop());
        }
    }
}

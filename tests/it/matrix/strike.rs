//! Something that happens to the program at one of its requests.

use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use setpoint::sandbox::{Action, Intercept, Seen};

use super::point::kind;

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Blow {
    /// SIGKILL.
    Kill,
    /// Something on the way.
    Act(Action),
}

/// Strikes at one request, and where it lasts at all further ones of its kind.
pub(super) struct Striker {
    child: Arc<Mutex<Option<Child>>>,
    /// Which of the program's requests, from 1.
    number: usize,
    /// After it was processed, not before.
    after: bool,
    blow: Blow,
    lasting: bool,
    count: AtomicUsize,
    /// The requests that are struck after they were processed, by their numbers in the sandbox.
    meant: Mutex<Vec<u64>>,
    kind: Mutex<Option<String>>,
    struck: AtomicBool,
    over: AtomicBool,
}

impl Striker {
    pub(super) fn new(child: Arc<Mutex<Option<Child>>>, number: usize, after: bool, blow: Blow, lasting: bool) -> Self {
        Self {
            child,
            number,
            after,
            blow,
            lasting,
            count: AtomicUsize::new(0),
            meant: Mutex::default(),
            kind: Mutex::default(),
            struck: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }

    /// Whether it came to it.
    pub(super) fn struck(&self) -> bool {
        self.struck.load(Ordering::SeqCst)
    }

    /// From here on nothing happens any more.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Whether this request is struck.
    fn is_meant(&self, request: &Seen) -> bool {
        if request.by_factory() || self.over.load(Ordering::SeqCst) {
            return false;
        }
        let this = kind(request.side, &request.method, &request.path);
        let mut known = self.kind.lock().expect("nobody panics with it");
        if self.count.fetch_add(1, Ordering::SeqCst) + 1 == self.number {
            *known = Some(this);
            return true;
        }
        self.lasting && known.as_ref() == Some(&this)
    }

    fn strike(&self) -> Action {
        match &self.blow {
            Blow::Act(action) => {
                self.struck.store(true, Ordering::SeqCst);
                action.clone()
            }
            Blow::Kill => {
                if let Some(child) = self.child.lock().expect("nobody panics with it").as_mut() {
                    // Waited for, so that it is dead when the request goes on.
                    child.kill().expect("it can be killed");
                    child.wait().expect("it ends");
                    self.struck.store(true, Ordering::SeqCst);
                    self.end();
                }
                Action::Drop
            }
        }
    }
}

impl Intercept for Striker {
    fn before(&self, request: &Seen) -> Action {
        if !self.is_meant(request) {
            return Action::Pass;
        }
        if self.after {
            self.meant.lock().expect("nobody panics with it").push(request.number);
            return Action::Pass;
        }
        self.strike()
    }

    fn after(&self, request: &Seen, _: u16) -> Action {
        if self
            .meant
            .lock()
            .expect("nobody panics with it")
            .contains(&request.number)
        {
            return self.strike();
        }
        Action::Pass
    }
}

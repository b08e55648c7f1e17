//! Something that happens to the program at one of its requests.

use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use setpoint::sandbox::{Action, Intercept, Seen, Side};

use super::point::kind;
use super::rng::Rng;

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fault {
    /// SIGKILL.
    Kill,
    /// Something on the way.
    Act(Action),
}

/// What else it is injected at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Nothing.
    Once,
    /// All further requests of its kind.
    Kind,
    /// All further requests to its side.
    Side,
}

/// Injects a fault at one request, and at as many further ones as it reaches.
pub(super) struct Injector {
    child: Arc<Mutex<Option<Child>>>,
    /// Which of the program's requests, from 1.
    number: usize,
    /// After it was processed, not before.
    after: bool,
    fault: Fault,
    reach: Reach,
    /// Holds the other requests up by so much chance, so that they come in another order.
    shuffle: Option<u64>,
    count: AtomicUsize,
    /// The requests at which it is injected after they were processed, by their numbers in the sandbox.
    meant: Mutex<Vec<u64>>,
    first: Mutex<Option<(Side, String)>>,
    injected: AtomicBool,
    over: AtomicBool,
}

impl Injector {
    pub(super) fn new(
        child: Arc<Mutex<Option<Child>>>,
        number: usize,
        after: bool,
        fault: Fault,
        reach: Reach,
    ) -> Self {
        Self {
            child,
            number,
            after,
            fault,
            reach,
            shuffle: None,
            count: AtomicUsize::new(0),
            meant: Mutex::default(),
            first: Mutex::default(),
            injected: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }

    /// Holds the other requests up by chance.
    pub(super) fn shuffled(mut self, seed: u64) -> Self {
        self.shuffle = Some(seed);
        self
    }

    /// Whether it came to it.
    pub(super) fn injected(&self) -> bool {
        self.injected.load(Ordering::SeqCst)
    }

    /// From here on nothing happens any more.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Whether it is injected at this request.
    fn is_meant(&self, request: &Seen) -> bool {
        if request.by_factory() || self.over.load(Ordering::SeqCst) {
            return false;
        }
        let this = kind(request.side, &request.method, &request.path);
        let mut first = self.first.lock().expect("nobody panics with it");
        if self.count.fetch_add(1, Ordering::SeqCst) + 1 == self.number {
            *first = Some((request.side, this));
            return true;
        }
        first.as_ref().is_some_and(|(side, kind)| match self.reach {
            Reach::Once => false,
            Reach::Kind => *kind == this,
            Reach::Side => *side == request.side,
        })
    }

    /// What happens to the requests that are not meant.
    fn others(&self, request: &Seen) -> Action {
        match self.shuffle {
            Some(seed) if !request.by_factory() && !self.over.load(Ordering::SeqCst) => {
                Action::Delay(Rng::new(seed ^ (request.number << 20)).below(12))
            }
            _ => Action::Pass,
        }
    }

    fn inject(&self) -> Action {
        match &self.fault {
            Fault::Act(action) => {
                self.injected.store(true, Ordering::SeqCst);
                action.clone()
            }
            Fault::Kill => {
                let mut child = self.child.lock().expect("nobody panics with it");
                // What a killed run had sent may come while the next one is started.
                let is_over = self.over.load(Ordering::SeqCst);
                if let Some(child) = child.as_mut().filter(|_| !is_over) {
                    // Waited for, so that it is dead when the request goes on.
                    child.kill().expect("it can be killed");
                    child.wait().expect("it ends");
                    self.injected.store(true, Ordering::SeqCst);
                    self.end();
                }
                Action::Drop
            }
        }
    }
}

impl Intercept for Injector {
    fn before(&self, request: &Seen) -> Action {
        if !self.is_meant(request) {
            return self.others(request);
        }
        if self.after {
            self.meant.lock().expect("nobody panics with it").push(request.number);
            return Action::Pass;
        }
        self.inject()
    }

    fn after(&self, request: &Seen, _: u16) -> Action {
        if self
            .meant
            .lock()
            .expect("nobody panics with it")
            .contains(&request.number)
        {
            return self.inject();
        }
        Action::Pass
    }
}

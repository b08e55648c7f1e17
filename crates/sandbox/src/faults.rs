//! Mishaps on the way: what a request meets before it is processed, or its answer afterwards.
//!
//! The same [`Action`]s serve two users: the switch `faults` (written down in a world file, matched by path and
//! count) and [`Intercept`] (a test's own code, which sees every request).

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which of the two sides was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Gitlab,
    /// Factory, API and app host.
    Factory,
}

/// A request as an [`Intercept`] sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Number of the request since the start, from 1, over both sides.
    pub number: u64,
    pub side: Side,
    pub method: String,
    /// Path, still percent-encoded, without the query.
    pub path: String,
    /// Query, still percent-encoded.
    pub query: Option<String>,
    /// The request's headers, names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether it may change something, see [`is_write`].
    pub write: bool,
}

/// How Factory calls itself where it asks GitLab.
pub(crate) const FACTORY_AGENT: &str = "Factory-Sandbox";

impl Seen {
    /// Whether Factory asks GitLab, as part of a request that a client made to Factory.
    pub fn by_factory(&self) -> bool {
        self.headers
            .iter()
            .any(|(name, value)| name == "user-agent" && value == FACTORY_AGENT)
    }
}

/// What happens to a request or to its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    #[default]
    Pass,
    /// This answer is given; asked before processing, the request is not processed.
    Respond {
        status: u16,
        #[serde(default)]
        headers: Vec<(String, String)>,
        #[serde(default)]
        body: String,
    },
    /// The connection is closed without an answer.
    Drop,
    /// The first so many bytes of the answer (head included) are sent, then the connection is closed.
    Truncate(usize),
    /// So many milliseconds pass, then all goes on.
    Delay(u64),
    /// No answer ever comes; the connection stays open.
    Hang,
    /// The answer's body is replaced by one of so many bytes of `x`.
    Bloat(usize),
    /// The answer's body is replaced by one of `x` that never ends.
    Endless,
    /// The server goes away: its connections end and new ones are refused, for so many milliseconds; 0: until
    /// [`super::Sandbox::come_back`].
    Away(u64),
    /// The answer's body comes in so many pieces, with so many milliseconds before each.
    Drip {
        pieces: usize,
        /// Milliseconds before each piece.
        every_ms: u64,
    },
}

impl Action {
    /// The pause that this action asks for.
    pub(crate) fn delay(&self) -> Option<Duration> {
        match self {
            Self::Delay(milliseconds) => Some(Duration::from_millis(*milliseconds)),
            _ => None,
        }
    }
}

/// A test's own eye and hand on every request. Both are called outside of all locks; they may block (a test may
/// kill its client there), because each connection has its own task.
pub trait Intercept: Send + Sync {
    /// Before the request is processed.
    fn before(&self, _request: &Seen) -> Action {
        Action::Pass
    }

    /// After it was processed, before anything of the answer is sent.
    fn after(&self, _request: &Seen, _status: u16) -> Action {
        Action::Pass
    }
}

/// A mishap that is written down in the switches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// On this side only.
    pub side: Option<Side>,
    /// With this method only.
    pub method: Option<String>,
    /// Only where the path contains this text.
    pub path: String,
    /// Let so many matching requests pass first.
    pub skip: u32,
    /// Then inject so many times; 0: for good.
    pub times: u32,
    /// Inject after the request was processed, not before.
    pub after: bool,
    pub action: Action,
    /// Matching requests that were met so far.
    pub met: u32,
}

impl Fault {
    /// Whether it is meant for this request, its counters aside.
    pub(crate) fn matches(&self, request: &Seen) -> bool {
        self.side.is_none_or(|side| side == request.side)
            && self
                .method
                .as_ref()
                .is_none_or(|method| method.eq_ignore_ascii_case(&request.method))
            && request.path.contains(&self.path)
    }

    /// Counts a matching request and says whether the fault strikes it.
    pub(crate) fn inject(&mut self) -> bool {
        self.met = self.met.saturating_add(1);
        self.met > self.skip && (self.times == 0 || self.met <= self.skip.saturating_add(self.times))
    }
}

/// The action for this request among the faults of the switches: that of the first fault that strikes, at its moment.
pub(crate) fn strike_all(faults: &mut [Fault], request: &Seen) -> (Action, Action) {
    let (mut before, mut after) = (Action::Pass, Action::Pass);
    for fault in faults.iter_mut().filter(|fault| fault.matches(request)) {
        if fault.inject() {
            let slot = if fault.after { &mut after } else { &mut before };
            if *slot == Action::Pass {
                *slot = fault.action.clone();
            }
        }
    }
    (before, after)
}

/// Whether a request may change something: every method but GET, HEAD and OPTIONS, save those that only ask
/// (GraphQL queries, token introspection); and GET `/oauth/authorize` and Factory's redirect, which do change things.
pub fn is_write(method: &str, path: &str) -> bool {
    let reading = matches!(method, "GET" | "HEAD" | "OPTIONS");
    if reading {
        return path.ends_with("/oauth/authorize") || path.contains("/integrations/redirect/");
    }
    !(path.ends_with("/api/graphql") || path.ends_with("/oauth/introspect"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, path: &str) -> Seen {
        Seen {
            number: 1,
            side: Side::Gitlab,
            method: method.to_owned(),
            path: path.to_owned(),
            query: None,
            headers: Vec::new(),
            body: Vec::new(),
            write: is_write(method, path),
        }
    }

    #[test]
    fn a_fault_strikes_after_its_skips_and_as_often_as_it_says() {
        let mut faults = vec![Fault {
            path: "/users".to_owned(),
            skip: 1,
            times: 2,
            action: Action::Drop,
            ..Fault::default()
        }];
        let struck: Vec<bool> = (0..5)
            .map(|_| strike_all(&mut faults, &request("GET", "/api/v4/users")).0 == Action::Drop)
            .collect();
        assert_eq!(struck, [false, true, true, false, false]);
        assert_eq!(
            strike_all(&mut faults, &request("GET", "/api/v4/projects")).0,
            Action::Pass
        );
    }

    #[test]
    fn questions_are_no_writes() {
        assert!(!is_write("POST", "/api/graphql"));
        assert!(!is_write("POST", "/gitlab/oauth/introspect"));
        assert!(is_write("GET", "/oauth/authorize"));
        assert!(is_write("POST", "/api/v4/users"));
        assert!(!is_write("GET", "/api/v4/users"));
    }
}

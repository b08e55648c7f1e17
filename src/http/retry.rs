//! The one place that decides whether a request is repeated, and after how long: exponential back-off with full
//! jitter, unless the server says when to come back. Pure but for the injected sleep and randomness.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// Waits for a duration. Tests put one in that only takes note.
pub type Sleep = Arc<dyn Fn(Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// How patient a client is.
#[derive(Clone)]
pub struct RetryPolicy {
    /// Attempts altogether; 1 repeats nothing.
    pub attempts: u32,
    /// The longest first wait; it doubles with each further one.
    pub base: Duration,
    /// The longest single wait of the back-off. A server may ask for more.
    pub cap: Duration,
    /// The most time that one request spends on waiting, and on attempts that no answer came to, before it is sent once
    /// more. A server that asks for more gets an error instead, which says how long it wants.
    pub max_wait: Duration,
    pub sleep: Sleep,
    /// A number in `0.0..1.0`, for the jitter.
    pub random: fn() -> f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(20),
            max_wait: Duration::from_secs(120),
            sleep: Arc::new(|wait| Box::pin(tokio::time::sleep(wait))),
            random,
        }
    }
}

impl std::fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RetryPolicy")
            .field("attempts", &self.attempts)
            .field("base", &self.base)
            .field("cap", &self.cap)
            .field("max_wait", &self.max_wait)
            .finish_non_exhaustive()
    }
}

fn random() -> f64 {
    // Without randomness from the system, the longest wait is the safe one.
    getrandom::u32().map_or(1.0, |number| f64::from(number) / (f64::from(u32::MAX) + 1.0))
}

/// How an attempt ended, as far as it matters for repeating it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// An answer that no repetition will better.
    Final,
    /// It was certainly not processed: 429, or no connection was made.
    NotProcessed {
        /// What the server says about when to come back.
        wait: Option<Duration>,
    },
    /// It may have been processed: 502, 503, 504, 520 to 524, a connection that broke.
    Uncertain {
        /// What the server says about when to come back.
        wait: Option<Duration>,
    },
}

/// What to do after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Take the attempt's end as it is.
    Stop,
    /// The server wants longer than we wait.
    TooLong(Duration),
    /// Wait, then repeat.
    Repeat(Duration),
}

impl RetryPolicy {
    /// Decides after attempt number `attempt` (the first is 1), `waited` having been spent on waiting so far.
    pub(super) fn decide(&self, ending: Ending, safe: bool, attempt: u32, waited: Duration) -> Decision {
        let asked = match ending {
            Ending::Final => return Decision::Stop,
            Ending::Uncertain { .. } if !safe => return Decision::Stop,
            Ending::NotProcessed { wait } | Ending::Uncertain { wait } => wait,
        };
        if attempt >= self.attempts {
            return Decision::Stop;
        }
        let wait = asked.unwrap_or_else(|| self.back_off(attempt));
        if waited + wait <= self.max_wait {
            Decision::Repeat(wait)
        } else if asked.is_some() {
            Decision::TooLong(wait)
        } else {
            Decision::Stop
        }
    }

    /// Full jitter: anything between nothing and the exponential bound, so that clients do not come back in step.
    fn back_off(&self, attempt: u32) -> Duration {
        let bound = self
            .base
            .saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)))
            .min(self.cap);
        bound.mul_f64((self.random)())
    }
}

/// What the headers say about when to come back: `Retry-After` in seconds or as a date, else GitLab's
/// `RateLimit-Reset` (seconds since 1970). Dates are taken against the server's own `Date`, for its clock may differ.
pub(super) fn asked_wait(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let server_now = text(DATE.as_str()).and_then(parse_date).unwrap_or(now);
    let until = |then: Timestamp| {
        let seconds = then.as_second().saturating_sub(server_now.as_second());
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    };
    if let Some(value) = text(RETRY_AFTER.as_str()) {
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            // More digits than a number holds is longer than anyone waits.
            return Some(Duration::from_secs(value.parse().unwrap_or(u64::from(u32::MAX))));
        }
        if let Some(then) = parse_date(value) {
            return Some(until(then));
        }
    }
    let reset = text("ratelimit-reset")?.parse().ok()?;
    Some(until(Timestamp::from_second(reset).ok()?))
}

/// A date as headers have it.
pub fn parse_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::{Decision, Ending, RetryPolicy, asked_wait};
    use jiff::Timestamp;
    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
    use std::time::Duration;

    fn policy() -> RetryPolicy {
        RetryPolicy {
            random: || 0.5,
            ..RetryPolicy::default()
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn what_was_not_processed_is_repeated_and_what_is_uncertain_only_if_safe() {
        let policy = policy();
        let wait = |ending, safe| policy.decide(ending, safe, 1, Duration::ZERO);
        let repeat = Decision::Repeat(Duration::from_millis(250));
        assert_eq!(wait(Ending::NotProcessed { wait: None }, false), repeat);
        assert_eq!(wait(Ending::Uncertain { wait: None }, true), repeat);
        assert_eq!(wait(Ending::Uncertain { wait: None }, false), Decision::Stop);
        assert_eq!(wait(Ending::Final, true), Decision::Stop);
    }

    #[test]
    fn waits_grow_up_to_the_cap_and_end_with_the_attempts() {
        let policy = RetryPolicy {
            attempts: 9,
            ..policy()
        };
        let ending = Ending::NotProcessed { wait: None };
        let waits: Vec<_> = (1..=9)
            .map(|attempt| match policy.decide(ending, true, attempt, Duration::ZERO) {
                Decision::Repeat(wait) => wait.as_millis(),
                _ => 0,
            })
            .collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 10000, 10000, 0]);
    }

    #[test]
    fn a_server_that_asks_for_too_long_is_not_waited_for() {
        let policy = policy();
        let asks = |seconds| Ending::NotProcessed {
            wait: Some(Duration::from_secs(seconds)),
        };
        assert_eq!(
            policy.decide(asks(90), false, 1, Duration::ZERO),
            Decision::Repeat(Duration::from_secs(90))
        );
        assert_eq!(
            policy.decide(asks(90), false, 2, Duration::from_secs(90)),
            Decision::TooLong(Duration::from_secs(90))
        );
    }

    #[test]
    fn the_servers_wish_is_read_as_seconds_as_a_date_and_from_gitlabs_header() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let asked = |pairs: &[(&'static str, &'static str)]| asked_wait(&headers(pairs), now).map(|w| w.as_secs());
        assert_eq!(asked(&[("retry-after", "7")]), Some(7));
        assert_eq!(
            asked(&[("retry-after", "99999999999999999999999")]),
            Some(u64::from(u32::MAX))
        );
        assert_eq!(asked(&[("retry-after", "Sun, 01 Mar 2026 12:00:30 GMT")]), Some(30));
        assert_eq!(asked(&[("retry-after", "Sun, 01 Mar 2026 11:00:00 GMT")]), Some(0));
        let skewed = [
            ("retry-after", "Sun, 01 Mar 2026 13:00:05 GMT"),
            ("date", "Sun, 01 Mar 2026 13:00:00 GMT"),
        ];
        assert_eq!(asked(&skewed), Some(5));
        assert_eq!(asked(&[("ratelimit-reset", "1772366460")]), Some(60));
        assert_eq!(asked(&[("retry-after", "soon"), ("ratelimit-reset", "x")]), None);
        assert_eq!(asked(&[]), None);
    }
}

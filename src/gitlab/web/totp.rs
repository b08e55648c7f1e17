//! One-time codes of an authenticator app (RFC 6238: SHA-1, six digits, steps of 30 s), each given out once.
//!
//! GitLab takes a code once in its step, so whoever needs a second one waits for the next step. Codes are counted per
//! secret: all sessions of one account share one [`Totp`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use hmac::{Hmac, KeyInit as _, Mac as _};

use crate::secrets::Secret;

/// Length of a step in seconds.
const STEP: u64 = 30;

/// The time, as far as one-time codes need it; tests bring their own.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Seconds since 1970.
    fn now(&self) -> u64;
    async fn sleep(&self, duration: Duration);
}

/// The clock of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |elapsed| elapsed.as_secs())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// An authenticator: a secret, and the last step that a code was given out for.
pub struct Totp {
    key: Vec<u8>,
    last_step: tokio::sync::Mutex<Option<u64>>,
}

/// The secret of an authenticator is no base32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the TOTP secret is no base32 text (letters A to Z, digits 2 to 7)")]
pub struct TotpError;

impl std::fmt::Debug for Totp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Totp(***)")
    }
}

impl Totp {
    /// Takes the base32 secret that GitLab shows beside its QR code; spaces, dashes, padding and case do not matter.
    ///
    /// # Errors
    /// It is empty or has other characters.
    pub fn new(secret: &Secret) -> Result<Self, TotpError> {
        let key = base32(secret.expose()).filter(|key| !key.is_empty()).ok_or(TotpError)?;
        Ok(Self {
            key,
            last_step: tokio::sync::Mutex::new(None),
        })
    }

    /// A code that was not given out before: of the present step, else of the next one once it has come.
    pub async fn code(&self, clock: &dyn Clock) -> Secret {
        let mut last = self.last_step.lock().await;
        loop {
            let now = clock.now();
            let step = now / STEP;
            if last.is_none_or(|last| step > last) {
                *last = Some(step);
                return Secret::new(code_at(&self.key, step));
            }
            // A clock that was set back does not make this wait for more than one step at a time.
            clock.sleep(Duration::from_secs(STEP - now % STEP)).await;
            if clock.now() / STEP < step {
                *last = None;
            }
        }
    }
}

/// The six digits of a step. HMAC takes keys of any length, so that its error cannot come up.
fn code_at(key: &[u8], step: u64) -> String {
    let Ok(mut mac) = Hmac::<sha1::Sha1>::new_from_slice(key) else {
        return String::new();
    };
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let offset = usize::from(digest[19] & 0x0f);
    let word = digest[offset..offset + 4]
        .iter()
        .fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
    format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
}

fn base32(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut buffer, mut bits) = (Vec::new(), 0_u32, 0_u32);
    for c in text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '=')) {
        let value = match c.to_ascii_uppercase() {
            letter @ 'A'..='Z' => u32::from(letter) - u32::from('A'),
            digit @ '2'..='7' => u32::from(digit) - u32::from('2') + 26,
            _ => return None,
        };
        buffer = buffer << 5 | value;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(buffer >> bits).ok()?);
            buffer &= (1 << bits) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// RFC 6238, appendix B: the key is the ASCII text 12345678901234567890.
    const RFC: &str = "gezd gnbv-GY3TQOJQ GEZDGNBVGY3TQOJQ====";

    struct Hand(AtomicU64);

    #[async_trait]
    impl Clock for Hand {
        fn now(&self) -> u64 {
            self.0.load(Ordering::SeqCst)
        }

        async fn sleep(&self, duration: Duration) {
            self.0.fetch_add(duration.as_secs(), Ordering::SeqCst);
        }
    }

    async fn code(totp: &Totp, clock: &Hand) -> String {
        totp.code(clock).await.expose().to_owned()
    }

    #[tokio::test]
    async fn the_codes_are_those_of_the_rfc() {
        let vectors = [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ];
        for (at, digits) in vectors {
            let totp = Totp::new(&Secret::new(RFC)).unwrap();
            assert_eq!(code(&totp, &Hand(AtomicU64::new(at))).await, digits);
        }
    }

    #[tokio::test]
    async fn a_second_code_waits_for_the_next_step() {
        let totp = Totp::new(&Secret::new(RFC)).unwrap();
        let clock = Hand(AtomicU64::new(1_111_111_109));
        assert_eq!(code(&totp, &clock).await, "081804");
        assert_eq!(code(&totp, &clock).await, "050471");
        assert_eq!(clock.now(), 1_111_111_110);
    }

    #[test]
    fn other_characters_are_refused() {
        for text in ["", "===", "ABC1", "ä"] {
            assert!(Totp::new(&Secret::new(text)).is_err(), "{text}");
        }
        assert_eq!(format!("{:?}", Totp::new(&Secret::new(RFC)).unwrap()), "Totp(***)");
    }
}

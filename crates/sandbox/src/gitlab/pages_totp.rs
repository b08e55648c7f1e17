//! Time-based one-time passwords (RFC 6238: SHA-1, six digits, steps of 30 s), as devise-two-factor takes them.

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;

use crate::world::World;

/// The step of 30 s that the time falls into.
fn step_at(now: Timestamp) -> i64 {
    now.as_second().div_euclid(30)
}

/// The code of a base32 secret at a time; `None` where the secret is no base32.
pub fn totp(secret: &str, at: Timestamp) -> Option<String> {
    code(&base32(secret)?, step_at(at))
}

fn code(key: &[u8], step: i64) -> Option<String> {
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(key).ok()?;
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let offset = usize::from(hash.last()? & 0x0f);
    let four: [u8; 4] = hash.get(offset..offset + 4)?.try_into().ok()?;
    Some(format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000))
}

fn base32(text: &str) -> Option<Vec<u8>> {
    let mut bits = 0_u32;
    let mut buffer = 0_u32;
    let mut bytes = Vec::new();
    for c in text.chars().filter(|c| !matches!(c, ' ' | '-' | '=')) {
        let value = match c.to_ascii_uppercase() {
            c @ 'A'..='Z' => u32::from(c) - u32::from('A'),
            c @ '2'..='7' => u32::from(c) - u32::from('2') + 26,
            _ => return None,
        };
        buffer = (buffer << 5 | value) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(buffer >> bits & 0xff).ok()?);
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

/// Bytes as base32 without padding, as authenticators take their secrets.
pub(crate) fn to_base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::new();
    let (mut buffer, mut bits) = (0_u32, 0_u32);
    let mut push = |five: u32| text.push(char::from(LETTERS[(five & 31) as usize]));
    for byte in bytes {
        buffer = (buffer << 8 | u32::from(*byte)) & 0xfff;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            push(buffer >> bits);
        }
    }
    if bits > 0 {
        push(buffer << (5 - bits));
    }
    text
}

/// Whether a code is the secret's at that time, or one step beside it.
pub(crate) fn is_code_of(secret: &str, given: &str, at: Timestamp) -> bool {
    let now = step_at(at);
    base32(secret).is_some_and(|key| (now - 1..=now + 1).any(|step| code(&key, step).as_deref() == Some(given)))
}

/// Takes a code of the user's authenticator: of this step, or one step beside it, and only once in a step.
pub(crate) fn consume(world: &mut World, user_id: u64, given: &str) -> bool {
    let now = step_at(world.now());
    let Some(user) = world.user_mut(user_id) else {
        return false;
    };
    let Some(key) = user.totp_secret.as_deref().and_then(base32) else {
        return false;
    };
    let last = user.totp_last_step;
    let fits = (now - 1..=now + 1)
        .filter(|step| last.is_none_or(|last| *step > last))
        .any(|step| code(&key, step).as_deref() == Some(given.trim()));
    if fits && last != Some(now) {
        user.totp_last_step = Some(now);
        return true;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::User;

    #[test]
    fn the_codes_of_the_rfc() {
        // RFC 6238, appendix B, the last six of its eight digits; the key is "12345678901234567890".
        let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        for (second, digits) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(totp(secret, Timestamp::from_second(second).unwrap()).unwrap(), digits);
        }
    }

    #[test]
    fn a_secret_is_written_as_it_is_read() {
        assert_eq!(to_base32(b"12345678901234567890"), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        for length in 1..12_u8 {
            let bytes: Vec<u8> = (0..length).map(|at| at.wrapping_mul(37)).collect();
            assert_eq!(base32(&to_base32(&bytes)), Some(bytes));
        }
    }

    #[test]
    fn a_code_works_once() {
        let mut world = World::default();
        let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        world.users.push(User {
            id: 7,
            totp_secret: Some(secret.to_owned()),
            ..User::default()
        });
        let given = totp(secret, world.now()).unwrap();
        assert!(!consume(&mut world, 7, "no code"));
        assert!(consume(&mut world, 7, &given));
        assert!(!consume(&mut world, 7, &given));
    }
}

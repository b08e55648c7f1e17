//! Rails' CSRF tokens: one per session, masked on each page with a pad that is used once, so that compressed pages do
//! not give it away (`ActionController`, `mask_token` and `unmask_token`).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .filter_map(|i| u8::from_str_radix(hex.get(2 * i..2 * i + 2)?, 16).ok())
        .collect()
}

/// The token as a page carries it; both are hexadecimal texts of 32 bytes.
pub(super) fn mask(token: &str, pad: &str) -> String {
    let (token, pad) = (bytes_of(token), bytes_of(pad));
    let masked = pad.iter().zip(&token).map(|(a, b)| a ^ b);
    let bytes: Vec<u8> = pad.iter().copied().chain(masked).collect();
    STANDARD.encode(bytes)
}

/// Whether a token of a page is the session's, under whatever pad.
pub(crate) fn unmasks_to(given: &str, token: &str) -> bool {
    let given = given.trim();
    let Ok(bytes) = STANDARD
        .decode(given)
        .or_else(|_| URL_SAFE.decode(given))
        .or_else(|_| URL_SAFE_NO_PAD.decode(given))
    else {
        return false;
    };
    let (pad, masked) = bytes.split_at(bytes.len() / 2);
    pad.len() == 32 && pad.iter().zip(masked).map(|(a, b)| a ^ b).eq(bytes_of(token))
}

//! Takes the secrets of this run out of text, before it is cut or laid out, and once more where it leaves the program.
//!
//! Every [`Secret`] is known here from the moment it is made: the credentials of the configuration, and those that come
//! up on the way, such as cookies, form tokens, one-time codes and the application's secret. They are found as they are and
//! as programs repeat what they were given: escaped for a URL, for JSON, for HTML or for a log, one within the other, in
//! Base64 (as in a `Basic` header), in hexadecimal, and with other white space than they have.
//!
//! This is for mishaps: a proxy that quotes the request, a program that traces its input. Whoever knows the secret and
//! wants to show it finds a form that nobody looks for.

mod decode;
mod json;
mod needles;
mod stream;

use std::borrow::Cow;

use super::Secret;
use needles::Needles;

pub use json::to_json;

/// What stands in a secret's place.
const HIDDEN: &str = "***";
/// A secret is at most so many times as long in the forms that are looked for (twice escaped).
const LONGEST_FORM: usize = 40;

#[cfg(not(test))]
mod run {
    use std::sync::{PoisonError, RwLock};

    use super::Needles;

    static KNOWN: RwLock<Needles> = RwLock::new(Needles::new());

    pub(super) fn with<T>(look: impl FnOnce(&Needles) -> T) -> T {
        look(&KNOWN.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn change(change: impl FnOnce(&mut Needles)) {
        change(&mut KNOWN.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Unit tests run side by side in one process, each on a thread of its own.
#[cfg(test)]
mod run {
    use std::cell::RefCell;

    use super::Needles;

    thread_local! {
        static KNOWN: RefCell<Needles> = const { RefCell::new(Needles::new()) };
    }

    pub(super) fn with<T>(look: impl FnOnce(&Needles) -> T) -> T {
        KNOWN.with_borrow(look)
    }

    pub(super) fn change(change: impl FnOnce(&mut Needles)) {
        KNOWN.with_borrow_mut(change);
    }
}

/// Takes note of a secret that is no [`Secret`], such as a cookie.
pub fn learn(secret: &str) {
    if run::with(|known| !known.has(secret)) {
        run::change(|known| known.add(secret));
    }
}

/// Names, paths and addresses that the configuration declares are public: what is part of one of them is no secret, and
/// to hide it would make other values of them.
pub fn declare_public(words: impl IntoIterator<Item = String>) {
    run::change(|known| known.declare_public(words));
}

/// The text without any secret of this run.
pub fn redact(text: &str) -> Cow<'_, str> {
    run::with(|known| known.redact(text))
}

/// The first bytes of a text without any secret of this run. One that begins there is found as a whole: what is cut off
/// is looked at as far as it may reach.
pub(super) fn redact_beginning(text: &str, bytes: usize) -> Cow<'_, str> {
    run::with(|known| {
        let reach = known.longest().saturating_mul(LONGEST_FORM);
        known.redact_until(
            &text[..boundary(text, bytes.saturating_add(reach))],
            boundary(text, bytes),
        )
    })
}

/// The first place at or after so many bytes where a character ends.
fn boundary(text: &str, bytes: usize) -> usize {
    (bytes..text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(text.len())
}

impl Secret {
    /// Whether the text holds the secret, as it is or in one of the forms.
    pub(super) fn is_in(&self, text: &str) -> bool {
        if self.expose().is_empty() {
            return false;
        }
        let mut alone = Needles::new();
        alone.add(self.expose());
        text.contains(self.expose()) || alone.is_in(text)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use proptest::prelude::*;

    use super::stream::Stream;
    use super::{declare_public, redact, redact_beginning};
    use crate::digest::hex;
    use crate::secrets::Secret;

    const TEXT: &str = "glpat-a+b/c \"d\"&é";

    fn percent(text: &str) -> String {
        url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
    }

    fn every_byte(text: &str) -> String {
        text.bytes()
            .fold(String::new(), |text, byte| text + &format!("%{byte:02X}"))
    }

    fn json(text: &str) -> String {
        let quoted = serde_json::to_string(text).unwrap();
        quoted[1..quoted.len() - 1].to_owned()
    }

    fn every_character(text: &str) -> String {
        text.encode_utf16()
            .fold(String::new(), |text, unit| text + &format!("\\u{unit:04x}"))
    }

    fn html(text: &str) -> String {
        text.replace('&', "&amp;")
            .replace('"', "&quot;")
            .replace('<', "&lt;")
            .replace('+', "&#43;")
    }

    fn base64(text: &str) -> String {
        base64::engine::general_purpose::STANDARD.encode(text)
    }

    /// The forms in which programs repeat what they were given.
    fn forms(text: &str) -> Vec<String> {
        let mut forms = vec![
            text.to_owned(),
            percent(text),
            percent(text).replace('+', "%20").to_lowercase(),
            every_byte(text),
            json(text),
            every_character(text),
            html(text),
            html(text).replace(' ', "&nbsp;"),
            hex(text.as_bytes()).to_uppercase(),
            text.replace(' ', "\n        "),
            // One within the other.
            json(&html(text)),
            json(&every_byte(text)),
            percent(&json(text)),
            html(&json(text)),
            percent(&percent(text)),
            json(&json(text)),
        ];
        for lead in ["", "x", "xy", "user:", "someone:"] {
            let pair = format!("{lead}{text}!");
            forms.push(base64(&pair));
            forms.push(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&pair));
            forms.push(percent(&base64(&pair)));
            forms.push(json(&base64(&pair)).replace('/', "\\/"));
        }
        forms
    }

    #[test]
    fn every_form_is_found_and_only_it_goes() {
        let secret = Secret::new(TEXT);
        for form in forms(TEXT) {
            let said = format!("the request was <{form}> and so on");
            assert!(secret.is_in(&said), "{said}");
            let hidden = redact(&said);
            assert_eq!(hidden, "the request was <***> and so on", "{said}");
        }
    }

    #[test]
    fn what_holds_none_of_it_stays_as_it_is() {
        for secret in [TEXT, "", "abc", "glpat-fake"] {
            let _ = Secret::new(secret);
        }
        let said = "no such token: 100% of \\path & more; abc aGVsbG8gd29ybGQ= 68656c6c6f glpat-fak";
        assert_eq!(redact(said), said);
    }

    #[test]
    fn a_short_secret_is_found_where_it_stands_alone_and_a_shorter_one_not_at_all() {
        for secret in ["123456", "hunter", "pw", "a"] {
            let _ = Secret::new(secret);
        }
        assert_eq!(
            redact("code=123456, not 1234567; (hunter), no hunters; a pw"),
            "code=***, not 1234567; (***), no hunters; a pw"
        );
        assert_eq!(redact("otp%3D123456%26"), "otp%3D***%26");
    }

    #[test]
    fn what_the_configuration_declares_is_no_secret() {
        let _ = Secret::new("storefront");
        declare_public(["web/storefront".to_owned()]);
        let _ = Secret::new("web/store");
        let _ = Secret::new("web/storefront!");
        assert_eq!(redact("web/storefront web/storefront!"), "web/storefront ***");
    }

    #[test]
    fn secrets_within_and_beside_each_other_leave_nothing() {
        for secret in ["canary-one-canary", "one-canary-two", "canary-one"] {
            let _ = Secret::new(secret);
        }
        assert_eq!(redact("canary-one-canary-two canary-onecanary-one"), "*** ***");
    }

    #[test]
    fn a_cut_takes_no_secret_apart() {
        let _ = Secret::new(TEXT);
        for before in 0..64 {
            let said = format!("{}{TEXT}{}", "x".repeat(before), "y".repeat(10_000));
            for bytes in [0, 16, 32, 40, 60, 70] {
                let shown = redact_beginning(&said, bytes);
                assert!(
                    shown.starts_with(&said[..bytes.min(before)]) && !shown.contains("glpa"),
                    "{before} {bytes}: {shown}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn no_form_of_any_secret_is_left(secret in "\\PC{8,40}", before in "\\PC{0,20}", after in "\\PC{0,20}") {
            prop_assume!(Stream::of(&secret).spaced(true).bytes.len() >= 8);
            let _ = Secret::new(secret.as_str());
            for form in [secret.clone(), percent(&secret), every_byte(&secret), json(&secret), every_character(&secret),
                hex(secret.as_bytes()), base64(&format!("user:{secret}"))]
            {
                let said = format!("{before} {form} {after}");
                let hidden = redact(&said);
                prop_assert!(!hidden.contains(form.as_str()), "{said}: {hidden}");
            }
        }

        #[test]
        fn any_text_is_read_to_its_end(text in "[%+&\\\\;#xu{}0-9a-f\\PC]{0,60}") {
            let _ = Secret::new("canary-canary");
            let said = format!("{text} canary-canary");
            prop_assert!(redact(&said).ends_with("***"), "{}", said);
        }
    }
}

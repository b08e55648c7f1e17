//! What is fuzzed, compiled for tests and for the targets in `fuzz/` only. Each function takes bytes of anybody's and
//! panics where a promise is broken: that nothing panics, that a secret stays out of messages, that an answer is right.
//! The targets feed them with what libFuzzer makes up, the test below with the seeds, so that they stay in step.

mod config;
mod documents;
mod glob;

pub use config::config;
pub use documents::{saved_plan, state_record};
pub use glob::glob;

/// GitLab's pages: forms, links, messages, the answers to an authorize URL.
pub fn pages(data: &[u8]) {
    let html = String::from_utf8_lossy(data);
    crate::gitlab::web::fuzz_pages(&html);
    crate::factory::fuzz_page(&html);
}

/// GitLab's JSON, REST and GraphQL: the first byte chooses the endpoint, the second the status.
pub fn gitlab_json(data: &[u8]) {
    if let [endpoint, status, body @ ..] = data {
        crate::gitlab::fuzz_json(*endpoint, *status, body);
    }
}

/// Factory's JSON: the first byte chooses the endpoint, the second the status.
pub fn factory_json(data: &[u8]) {
    if let [endpoint, status, body @ ..] = data {
        crate::factory::fuzz_json(*endpoint, *status, body);
    }
}

/// Requires that a message for people is one bounded line that acts on no terminal.
pub(crate) fn expect_clean(message: &str) {
    assert!(!message.chars().any(char::is_control), "{message:?}");
    assert!(message.chars().count() < 4000, "{message:?}");
}

/// Requires that a text of several lines has no control sequence but those that style it, and links.
fn expect_harmless(text: &str) {
    let mut rest = crate::render::without_links(text).into_owned();
    while let Some(start) = rest.find("\u{1b}[") {
        let style = &rest[start + 2..];
        let length = style
            .find(|c: char| !c.is_ascii_digit() && c != ';')
            .filter(|end| style[*end..].starts_with('m'));
        let Some(length) = length else {
            panic!("a control sequence is in {text:?}");
        };
        rest.replace_range(start..=start + 2 + length, "");
    }
    let acts = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    assert!(!rest.contains(acts), "{text:?}");
}

#[cfg(test)]
mod tests {
    /// A target and its function.
    type Target = (&'static str, fn(&[u8]));

    const TARGETS: [Target; 7] = [
        ("config", super::config),
        ("pages", super::pages),
        ("gitlab_json", super::gitlab_json),
        ("factory_json", super::factory_json),
        ("saved_plan", super::saved_plan),
        ("state_record", super::state_record),
        ("glob", super::glob),
    ];

    #[test]
    fn all_seeds_keep_the_promises() {
        for (target, run) in TARGETS {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("fuzz/seeds")
                .join(target);
            let mut count = 0;
            for seed in std::fs::read_dir(&folder).unwrap() {
                let data = std::fs::read(seed.unwrap().path()).unwrap();
                run(&data);
                // What is cut off is the likeliest damage.
                for length in (0..data.len()).step_by(data.len() / 50 + 1) {
                    run(&data[..length]);
                }
                count += 1;
            }
            assert!(count > 1, "{target} has no seeds");
        }
    }
}

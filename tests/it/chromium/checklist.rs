//! The checklist that `apply` leaves, read as an operator reads it: what to open, what to press, what to fill in.

/// One item of the checklist.
#[derive(Debug)]
pub(super) struct Step {
    title: String,
    lines: Vec<(String, String)>,
    /// The repositories to tick.
    pub(super) repositories: Vec<String>,
}

impl Step {
    /// What stands behind a label.
    pub(super) fn says(&self, label: &str) -> &str {
        let found = self.lines.iter().find(|(name, _)| name == label);
        match found {
            Some((_, text)) => text,
            None => panic!("no `{label}` in {self:?}"),
        }
    }

    /// The label that begins so.
    pub(super) fn label(&self, begin: &str) -> &str {
        let found = self.lines.iter().find(|(name, _)| name.starts_with(begin));
        match found {
            Some((name, _)) => name,
            None => panic!("no `{begin}…` in {self:?}"),
        }
    }

    /// The words on the pages that the instruction quotes.
    pub(super) fn words<const N: usize>(&self) -> [&str; N] {
        words(self.says("do"))
    }
}

/// The words in quotation marks; there must be so many.
pub(super) fn words<const N: usize>(text: &str) -> [&str; N] {
    let words: Vec<&str> = text.split('"').skip(1).step_by(2).collect();
    match <[&str; N]>::try_from(words) {
        Ok(words) => words,
        Err(words) => panic!("{words:?} in {text}"),
    }
}

/// The steps of a checklist in Markdown.
pub(super) fn read(markdown: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in markdown.lines() {
        if let Some(title) = line.strip_prefix("- [ ] ") {
            steps.push(Step {
                title: bare(title.split_once(": ").map_or(title, |(_, title)| title)),
                lines: Vec::new(),
                repositories: Vec::new(),
            });
            continue;
        }
        let Some(step) = steps.last_mut() else { continue };
        if let Some(path) = line.strip_prefix("  - [ ] ") {
            step.repositories.push(bare(path));
        } else if let Some(text) = line.strip_prefix("  - ") {
            // A label may have colons, a value may begin after one only.
            let value = text.split_once(": `").or_else(|| text.split_once(": <"));
            let (label, value) = value.unwrap_or_else(|| text.split_once(": ").expect("label: text"));
            step.lines.push((bare(label), bare(value)));
        }
    }
    steps
}

/// The step of a title.
pub(super) fn step<'a>(steps: &'a [Step], title: &str) -> &'a Step {
    let found = steps.iter().find(|step| step.title.starts_with(title));
    match found {
        Some(step) => step,
        None => panic!("no {title} in {steps:#?}"),
    }
}

/// Without the marks of a code span or a link.
fn bare(text: &str) -> String {
    text.trim_matches(['`', '<', '>']).to_owned()
}

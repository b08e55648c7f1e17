//! What is remembered of what was told, and that no mishap with it silences a finding.

use std::path::PathBuf;

use super::{Watch, addresses};

impl Watch {
    fn memory_file(&self) -> PathBuf {
        self.fixture.path(".setpoint/notified.json")
    }

    /// A run has to tell the one finding, and to keep what was in the file under another name.
    async fn tells_again(&self, content: &str, says: &str, aside: &str) {
        std::fs::write(self.memory_file(), content).unwrap();
        let ran = self.run(&[]).await.expect(2);
        assert_eq!(addresses(&self.receiver.one()), ["gitlab.user"], "{says}");
        assert!(ran.stderr.starts_with("warning: "), "{}", ran.stderr);
        let said = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(says), "{says}: {said}");
        let kept = self.fixture.path(&format!(".setpoint/notified.json.{aside}-1"));
        assert_eq!(std::fs::read_to_string(kept).unwrap(), content);
        let ran = self.run(&[]).await.expect(2);
        assert!(
            self.receiver.take().is_empty() && ran.stderr.is_empty(),
            "{}",
            ran.stderr
        );
    }
}

#[tokio::test]
async fn a_memory_that_cannot_be_trusted_silences_nothing() {
    let watch = Watch::new().await;
    watch.rename("Mallory");
    watch.run(&[]).await.expect(2);
    watch.receiver.one();
    let whole = std::fs::read_to_string(watch.memory_file()).unwrap();
    watch
        .tells_again(&whole[..whole.len() / 2], "is no whole memory", "damaged")
        .await;
    let newer = whole.replace("\"1.0\"", "\"2.0\"");
    watch
        .tells_again(&newer, "was written by a newer Setpoint (format 2.0)", "newer")
        .await;
    let url = watch.fixture.sandbox.gitlab_url();
    let other = whole.replace(&url, "https://other.example.com");
    assert_ne!(other, whole);
    watch
        .tells_again(&other, "about https://other.example.com", "other")
        .await;
}

#[tokio::test]
async fn a_memory_that_cannot_be_written_is_an_error_and_tells_again() {
    let watch = Watch::new().await;
    watch.rename("Mallory");
    std::fs::create_dir(watch.fixture.path("folder")).unwrap();
    for _ in 0..2 {
        let ran = watch.run(&["--notify-state", "folder"]).await.expect(2);
        assert!(
            ran.stderr
                .contains("error: what was told cannot be remembered in folder"),
            "{}",
            ran.stderr
        );
        assert_eq!(addresses(&watch.receiver.one()), ["gitlab.user"]);
    }
}

#[tokio::test]
async fn what_is_gone_and_cannot_be_forgotten_is_an_error() {
    let watch = Watch::new().await;
    watch.rename("Mallory");
    watch.run(&["--notify-state", "kept/told.json"]).await.expect(2);
    watch.receiver.one();
    watch.rename("Factory Droid");
    // The file can still be read, but a link is not written through.
    let (file, elsewhere) = (
        watch.fixture.path("kept/told.json"),
        watch.fixture.path("kept/elsewhere"),
    );
    std::fs::rename(&file, &elsewhere).unwrap();
    link(&elsewhere, &file);
    let ran = watch.run(&["--notify-state", "kept/told.json"]).await.expect(1);
    assert!(ran.stdout.contains("No drift"), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("error: what was told cannot be remembered"),
        "{}",
        ran.stderr
    );
}

#[cfg(unix)]
fn link(original: &std::path::Path, link: &std::path::Path) {
    std::os::unix::fs::symlink(original, link).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn the_memory_is_private_and_where_it_is_wanted() {
    use std::os::unix::fs::PermissionsExt as _;
    let watch = Watch::new().await;
    watch.rename("Mallory");
    watch.run(&["--notify-state", "cache/told.json"]).await.expect(2);
    watch.receiver.one();
    assert!(!watch.memory_file().exists());
    let mode = std::fs::metadata(watch.fixture.path("cache/told.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    watch.run(&["--notify-state", "cache/told.json"]).await.expect(2);
    assert!(watch.receiver.take().is_empty());
    // Another memory knows nothing of it.
    watch.run(&[]).await.expect(2);
    watch.receiver.one();
    let mode = std::fs::metadata(watch.memory_file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

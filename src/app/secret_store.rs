//! Where a secret is kept that GitLab shows once, as `application.secret` and `user.totp` say: handed to a command on
//! standard input or put into a private file before anybody else gets it, and read back from there.
//!
//! GitLab shows a secret once, and a renewal cannot be undone. So the store is tried before one is made, and what it
//! gives back is held against what it was given.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::zeroize::Zeroizing;

use crate::config::{SaveTo, SecretStoreConfig};
use crate::executor::SecretStore;
use crate::files::{self, Obstacle, Readers};
use crate::secrets::{Secret, SecretRef};

/// As large as what is written to try a file: no secret is longer.
const ROOM: usize = 4096;
/// How often a secret is read back before the store is taken to give another, for some take a moment.
const READ_BACK: u32 = 3;
const READ_BACK_AFTER: Duration = Duration::from_millis(500);

#[derive(Debug, Clone)]
pub(crate) struct ConfiguredStore {
    /// The configuration's table that it is of.
    pub(crate) table: &'static str,
    pub(crate) config: SecretStoreConfig,
    /// Whether what a command said is told.
    pub(crate) to_a_person: bool,
}

impl ConfiguredStore {
    /// Finds out, before a secret is made, whether it could be kept. A file is written beside the one in question. A
    /// command is probed as `application.secret.probe` says; without that it is given once more what it gives back,
    /// and where that is nothing, it is only seen to that its program is there.
    pub(crate) async fn probe(&self) -> Result<(), String> {
        match (&self.config.save, &self.config.probe) {
            (None, _) => Ok(()),
            (Some(SaveTo::File(path)), _) => files::probe(path, ROOM, Readers::Owner)
                .map_err(|error| format!("no secret could be saved to {}: {error}", path.display())),
            (Some(SaveTo::Command(_)), Some(probe)) => probe
                .succeeds()
                .await
                .map_err(|error| format!("`{}.probe` failed: {}", self.table, error.told(self.to_a_person))),
            (Some(SaveTo::Command(command)), None) => match self.load().await? {
                Some(secret) => self.save(&secret).await,
                None => command
                    .is_there()
                    .map_err(|error| format!("`{}.save` cannot work: {error}", self.table)),
            },
        }
    }

    async fn keep(&self, secret: &Secret) -> Result<(), String> {
        match &self.config.save {
            None => Ok(()),
            Some(SaveTo::File(path)) => to_file(path, secret)
                .map_err(|error| format!("the secret cannot be saved to {}: {error}", path.display())),
            Some(SaveTo::Command(command)) => command
                .give(secret)
                .await
                .map_err(|error| format!("`{}.save` failed: {error}", self.table)),
        }
    }

    /// Whether the store gives back what it was given.
    async fn read_back(&self, secret: &Secret) -> Result<(), String> {
        if self.config.save.is_none() || self.config.load.is_none() {
            return Ok(());
        }
        let mut attempt = 1;
        loop {
            let loaded = self
                .load()
                .await
                .map_err(|why| format!("`{}.load` failed after the secret was saved: {why}", self.table))?;
            let gives = match loaded {
                Some(loaded) if loaded.is(secret) => return Ok(()),
                Some(_) => format!("something else than `{}.save` was given", self.table),
                None => format!("nothing after `{}.save` was given a secret", self.table),
            };
            if attempt == READ_BACK {
                return Err(format!("`{}.load` gives {gives}", self.table));
            }
            attempt += 1;
            tokio::time::sleep(READ_BACK_AFTER).await;
        }
    }
}

#[async_trait]
impl SecretStore for ConfiguredStore {
    fn saves(&self) -> bool {
        self.config.save.is_some()
    }

    async fn save(&self, secret: &Secret) -> Result<(), String> {
        self.keep(secret).await?;
        self.read_back(secret).await
    }

    async fn load(&self) -> Result<Option<Secret>, String> {
        let Some(reference) = &self.config.load else {
            return Ok(None);
        };
        // A file that is not there yet is how `save` and `load` begin.
        if let SecretRef::File(path) = reference
            && !path.exists()
        {
            return Ok(None);
        }
        reference.resolve().await.map_err(|error| error.told(self.to_a_person))
    }
}

fn to_file(path: &Path, secret: &Secret) -> Result<(), Obstacle> {
    let text = Zeroizing::new(format!("{}\n", secret.expose()));
    files::replace(path, text.as_bytes(), Readers::Owner)
}

#[cfg(test)]
mod tests {
    use super::ConfiguredStore;
    use crate::config::{SaveTo, SecretStoreConfig};
    use crate::executor::SecretStore as _;
    use crate::secrets::{Secret, SecretCommand, SecretRef};

    fn store(save: SaveTo, load: Option<SecretRef>) -> ConfiguredStore {
        ConfiguredStore {
            table: "application.secret",
            config: SecretStoreConfig {
                save: Some(save),
                load,
                probe: None,
            },
            to_a_person: false,
        }
    }

    #[tokio::test]
    async fn a_file_gives_back_what_it_got_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/secret");
        let store = store(SaveTo::File(path.clone()), Some(SecretRef::File(path.clone())));
        assert!(store.load().await.unwrap().is_none());
        store.save(&Secret::new("gloas-fake")).await.unwrap();
        assert_eq!(store.load().await.unwrap().unwrap().expose(), "gloas-fake");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_command_gets_it_on_standard_input_and_its_failure_does_not_repeat_it() {
        let shell =
            |script: &str| SaveTo::Command(SecretCommand::new(["sh", "-c", script].map(str::to_owned).to_vec()));
        let secret = Secret::new("gloas-fake");
        store(shell("test \"$(cat)\" = gloas-fake"), None)
            .save(&secret)
            .await
            .unwrap();
        let error = store(shell("cat >&2; exit 3"), None).save(&secret).await.unwrap_err();
        assert!(error.contains("exit status: 3") && !error.contains("gloas"), "{error}");
        let error = store(shell("echo no such path >&2; exit 1"), None)
            .save(&secret)
            .await
            .unwrap_err();
        assert!(error.contains("no such path"), "{error}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_store_that_gives_back_something_else_has_not_kept_it() {
        let command = |script: &str| SecretCommand::new(["sh", "-c", script].map(str::to_owned).to_vec());
        let load = |script: &str| Some(SecretRef::Command(command(script)));
        let secret = Secret::new("gloas-fake");
        for (gives, says) in [
            ("printf gloas-fake", None),
            ("echo gloas-fake", None),
            ("printf 'gloas-fake\\n\\n'", Some("gives something else")),
            ("echo gloas-other", Some("gives something else")),
            ("true", Some("gives nothing")),
            ("exit 1", Some("failed after the secret was saved")),
        ] {
            let store = store(SaveTo::Command(command("cat > /dev/null")), load(gives));
            let saved = store.save(&secret).await;
            match says {
                None => saved.unwrap(),
                Some(says) => {
                    let error = saved.unwrap_err();
                    assert!(error.contains(says) && !error.contains("gloas"), "{gives}: {error}");
                }
            }
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn it_is_tried_without_a_secret_being_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let command = |script: String| SecretCommand::new(vec!["sh".to_owned(), "-c".to_owned(), script]);
        // A file is not touched.
        store(SaveTo::File(path("secret")), None).probe().await.unwrap();
        assert!(!path("secret").exists());
        std::fs::create_dir(path("folder")).unwrap();
        assert!(store(SaveTo::File(path("folder")), None).probe().await.is_err());
        // A command without anything to say is looked for only.
        let kept = path("kept");
        let save = || SaveTo::Command(command(format!("echo >> {0}.log; cat > {0}", kept.display())));
        let load = || {
            Some(SecretRef::Command(command(format!(
                "cat {} 2>&1 || true",
                kept.display()
            ))))
        };
        store(save(), None).probe().await.unwrap();
        assert!(!kept.exists());
        let nowhere = SecretCommand::new(vec!["no-such-program".to_owned()]);
        let error = store(SaveTo::Command(nowhere), None).probe().await.unwrap_err();
        assert!(error.contains("was not found"), "{error}");
        // Otherwise it is given what it has.
        std::fs::write(&kept, "gloas-old\n").unwrap();
        store(save(), load()).probe().await.unwrap();
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), "gloas-old");
        let failing = store(SaveTo::Command(command("exit 7".to_owned())), load());
        assert!(failing.probe().await.unwrap_err().contains("exit status: 7"));
        // A probe of its own is what counts.
        let mut probed = store(SaveTo::Command(command("exit 7".to_owned())), load());
        probed.config.probe = Some(command("test -z \"$(cat)\"".to_owned()));
        probed.probe().await.unwrap();
        probed.config.probe = Some(command("echo sealed >&2; exit 2".to_owned()));
        assert!(
            probed
                .probe()
                .await
                .unwrap_err()
                .contains("`application.secret.probe` failed")
        );
    }
}

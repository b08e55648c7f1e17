//! Where the application's secret is kept, as `application.secret` says: handed to a command on standard input or
//! put into a private file before Factory gets it, and read back from there.

use std::path::Path;

use async_trait::async_trait;

use crate::cli::term;
use crate::config::{SaveTo, SecretStoreConfig};
use crate::executor::SecretStore;
use crate::files::{self, Obstacle, Readers};
use crate::secrets::{Secret, SecretRef};

/// The configured store.
pub(crate) struct ConfiguredStore(pub(crate) SecretStoreConfig);

#[async_trait]
impl SecretStore for ConfiguredStore {
    fn saves(&self) -> bool {
        self.0.save.is_some()
    }

    async fn save(&self, secret: &Secret) -> Result<(), String> {
        match &self.0.save {
            None => Ok(()),
            Some(SaveTo::File(path)) => to_file(path, secret)
                .map_err(|error| format!("the secret cannot be saved to {}: {error}", path.display())),
            Some(SaveTo::Command(command)) => command
                .give(secret)
                .await
                .map_err(|error| format!("`application.secret.save` failed: {error}")),
        }
    }

    async fn load(&self) -> Result<Option<Secret>, String> {
        let Some(reference) = &self.0.load else {
            return Ok(None);
        };
        // A file that is not there yet is how `save` and `load` begin.
        if let SecretRef::File(path) = reference
            && !path.exists()
        {
            return Ok(None);
        }
        reference.resolve().await.map_err(|error| error.told(term::is_seen()))
    }
}

fn to_file(path: &Path, secret: &Secret) -> Result<(), Obstacle> {
    files::replace(path, format!("{}\n", secret.expose()).as_bytes(), Readers::Owner)
}

#[cfg(test)]
mod tests {
    use super::ConfiguredStore;
    use crate::config::{SaveTo, SecretStoreConfig};
    use crate::executor::SecretStore as _;
    use crate::secrets::{Secret, SecretCommand, SecretRef};

    fn store(save: SaveTo, load: Option<SecretRef>) -> ConfiguredStore {
        ConfiguredStore(SecretStoreConfig { save: Some(save), load })
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
}

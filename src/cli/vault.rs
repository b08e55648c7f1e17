//! Where the application's secret is kept, as `application.secret` says: handed to a command on standard input or
//! put into a private file before Factory gets it, and read back from there.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::AsyncWriteExt as _;

use super::files::{self, Readers};
use crate::config::{SaveTo, SecretStoreConfig};
use crate::executor::SecretVault;
use crate::secrets::{Secret, SecretRef};

/// A command that has not taken the secret by then is ended.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// The configured store.
pub(crate) struct Vault(pub(crate) SecretStoreConfig);

#[async_trait]
impl SecretVault for Vault {
    fn saves(&self) -> bool {
        self.0.save.is_some()
    }

    async fn save(&self, secret: &Secret) -> Result<(), String> {
        match &self.0.save {
            None => Ok(()),
            Some(SaveTo::File(path)) => to_file(path, secret)
                .map_err(|error| format!("the secret cannot be saved to {}: {error}", path.display())),
            Some(SaveTo::Command(command)) => to_command(command, secret)
                .await
                .map_err(|why| format!("`application.secret.save` failed: {why}")),
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
        reference.resolve().await.map_err(|error| error.to_string())
    }
}

fn to_file(path: &Path, secret: &Secret) -> std::io::Result<()> {
    files::replace(path, format!("{}\n", secret.expose()).as_bytes(), Readers::Owner)
}

async fn to_command(command: &[String], secret: &Secret) -> Result<(), String> {
    let Some((program, arguments)) = command.split_first() else {
        return Err("the command is empty".to_owned());
    };
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("`{program}` cannot be started: {error}"))?;
    let input = child.stdin.take();
    let give = async {
        if let Some(mut input) = input {
            // A command that ends without reading to the end is judged by its exit status alone.
            let _ = input.write_all(secret.expose().as_bytes()).await;
            let _ = input.shutdown().await;
        }
    };
    let done = async { tokio::join!(give, child.wait_with_output()).1 };
    let output = tokio::time::timeout(COMMAND_TIMEOUT, done)
        .await
        .map_err(|_| format!("`{program}` did not end within {} seconds", COMMAND_TIMEOUT.as_secs()))?
        .map_err(|error| format!("`{program}`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    let said = if said.is_empty() || said.contains(secret.expose()) {
        String::new()
    } else {
        format!(": {}", said.lines().take(5).collect::<Vec<_>>().join("; "))
    };
    Err(format!("`{program}` ended with {}{said}", output.status))
}

#[cfg(test)]
mod tests {
    use super::Vault;
    use crate::config::{SaveTo, SecretStoreConfig};
    use crate::executor::SecretVault as _;
    use crate::secrets::{Secret, SecretRef};

    fn vault(save: SaveTo, load: Option<SecretRef>) -> Vault {
        Vault(SecretStoreConfig { save: Some(save), load })
    }

    #[tokio::test]
    async fn a_file_gives_back_what_it_got_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/secret");
        let vault = vault(SaveTo::File(path.clone()), Some(SecretRef::File(path.clone())));
        assert!(vault.load().await.unwrap().is_none());
        vault.save(&Secret::new("gloas-fake")).await.unwrap();
        assert_eq!(vault.load().await.unwrap().unwrap().expose(), "gloas-fake");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_command_gets_it_on_standard_input_and_its_failure_does_not_repeat_it() {
        let shell = |script: &str| SaveTo::Command(["sh", "-c", script].map(str::to_owned).to_vec());
        let secret = Secret::new("gloas-fake");
        vault(shell("test \"$(cat)\" = gloas-fake"), None)
            .save(&secret)
            .await
            .unwrap();
        let error = vault(shell("cat >&2; exit 3"), None).save(&secret).await.unwrap_err();
        assert!(error.contains("exit status: 3") && !error.contains("gloas"), "{error}");
        let error = vault(shell("echo no such path >&2; exit 1"), None)
            .save(&secret)
            .await
            .unwrap_err();
        assert!(error.contains("no such path"), "{error}");
    }
}

//! The sandbox's Terraform state backend, proven by Terraform itself where it is on the PATH.

use std::path::Path;

use setpoint::sandbox::world::TerraformLock;
use setpoint::sandbox::{self, Options, ROOT_TOKEN, Sandbox};

const CONFIGURATION: &str = r#"
terraform {
  backend "http" {
    lock_method   = "POST"
    unlock_method = "DELETE"
    retry_max     = 0
  }
}

variable "value" {
  default = "one"
}

resource "terraform_data" "example" {
  input = var.value
}
"#;

/// Runs Terraform in that folder; gives whether it was well, and all that it said.
async fn terraform(folder: &Path, sandbox: &Sandbox, arguments: &[&str]) -> (bool, String) {
    let address = format!("{}/api/v4/projects/1/terraform/state/example", sandbox.gitlab_url());
    let output = tokio::process::Command::new("terraform")
        .args(arguments)
        .current_dir(folder)
        .env("TF_HTTP_LOCK_ADDRESS", format!("{address}/lock"))
        .env("TF_HTTP_UNLOCK_ADDRESS", format!("{address}/lock"))
        .env("TF_HTTP_ADDRESS", address)
        .env("TF_HTTP_USERNAME", "root")
        .env("TF_HTTP_PASSWORD", ROOT_TOKEN)
        .env("TF_IN_AUTOMATION", "1")
        .env("CHECKPOINT_DISABLE", "1")
        .output()
        .await
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test]
async fn terraform_keeps_its_state_here() {
    if crate::common::tools::find("terraform").is_none() {
        return;
    }
    let sandbox = sandbox::start(Options::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("main.tf"), CONFIGURATION).unwrap();
    let run = async |arguments: &[&str]| terraform(folder.path(), &sandbox, arguments).await;

    let (well, said) = run(&["init", "-input=false", "-no-color"]).await;
    assert!(well, "{said}");
    let apply = ["apply", "-auto-approve", "-input=false", "-no-color"];
    let (well, said) = run(&apply).await;
    assert!(well && said.contains("1 added"), "{said}");
    let (well, said) = run(&[&apply[..], &["-var", "value=two"]].concat()).await;
    assert!(well && said.contains("1 changed"), "{said}");
    let (well, said) = run(&["state", "pull"]).await;
    assert!(well && said.contains("\"two\""), "{said}");

    sandbox.with_world(|world| {
        let state = world.terraform_states.first_mut().unwrap();
        assert!(
            state.lock.is_none() && state.serials.len() == 2,
            "each apply locks, stores and unlocks"
        );
        state.lock = Some(TerraformLock {
            id: "somebody-else".to_owned(),
            user_id: 1,
            created: "2026-01-01T00:00:00Z".to_owned(),
        });
    });
    let (well, said) = run(&apply).await;
    assert!(!well && said.contains("already locked: ID=somebody-else"), "{said}");
    let (well, said) = run(&["force-unlock", "-force", "somebody-else"]).await;
    assert!(well, "{said}");
    let (well, said) = run(&["destroy", "-auto-approve", "-input=false", "-no-color"]).await;
    assert!(well && said.contains("1 destroyed"), "{said}");
}

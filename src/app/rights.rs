//! Who besides the user that runs Setpoint can change what it goes by: the configuration, which names commands that are run
//! and the addresses that tokens are sent to; the record and the journal; and the folder that holds them, where files can
//! be exchanged. Rights that others have to Setpoint's own files are taken away; of the rest it is warned.

use std::path::{Path, PathBuf};

use super::records::{beside, journal, local_record, refused_sign_ins};
use super::settings::Settings;
use crate::config::Config;
use crate::files;
use crate::model::Diagnostic;

/// Warns of what others can write, once for each run, and brings Setpoint's own files to 0600.
pub(crate) fn tidy(config: &Config, settings: &Settings) -> Vec<Diagnostic> {
    let record = local_record(config, settings);
    let mut own = vec![
        record.clone(),
        refused_sign_ins(&record),
        journal(config, settings).path().to_owned(),
        beside(&config.file, ".setpoint/notified.json"),
    ];
    own.dedup();
    let folder = files::folder_of(&record).to_owned();
    let configuration = config.file.clone();
    look(&configuration, &folder, &own)
}

#[cfg(unix)]
fn look(configuration: &Path, folder: &Path, own: &[PathBuf]) -> Vec<Diagnostic> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut warnings = Vec::new();
    let mut warn = |path: &Path, who: &str, what: &str, hint: String| {
        warnings.push(Diagnostic::new(format!("{} can be written by {who}: {what}", path.display())).hint(hint));
    };
    if let Some(who) = writers(configuration) {
        let what = "whoever changes it has the credentials that Setpoint is given";
        warn(
            configuration,
            who,
            what,
            format!("`chmod go-w {}`", configuration.display()),
        );
    }
    if let Some(who) = writers(folder) {
        let what = "the files in it can be exchanged for others";
        warn(folder, who, what, format!("`chmod go-w {}`", folder.display()));
    }
    for path in own {
        if let Some(who) = writers(path) {
            let hint = "look at what is in it; if it is yours, the rights of others are taken away now".to_owned();
            warn(path, who, "it may say what was never done", hint);
        }
        let Ok(file) = files::open(path) else { continue };
        let is_link = std::fs::symlink_metadata(path).is_ok_and(|one| one.file_type().is_symlink());
        let is_open = |metadata: std::fs::Metadata| metadata.permissions().mode() & 0o077 != 0;
        if !is_link && file.metadata().is_ok_and(is_open) {
            // Only its owner can: somebody else's was warned of if it matters.
            let _ = file.set_permissions(std::fs::Permissions::from_mode(0o600));
        }
    }
    warnings
}

/// Systems that keep rights in other ways are not judged.
#[cfg(not(unix))]
fn look(_: &Path, _: &Path, _: &[PathBuf]) -> Vec<Diagnostic> {
    Vec::new()
}

/// Who besides its owner may write something, in words; none where nobody may, or where it is not there.
#[cfg(unix)]
fn writers(path: &Path) -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(path).ok()?;
    let (mode, is_folder) = (metadata.mode(), metadata.is_dir());
    // In a folder such as /tmp nobody exchanges the files of others.
    if is_folder && mode & 0o1000 != 0 {
        return None;
    }
    // Many systems give each user a group of the same number, in which nobody else is.
    let has_group = metadata.uid() != metadata.gid();
    match mode {
        mode if mode & 0o002 != 0 => Some("everybody on this machine"),
        mode if mode & 0o020 != 0 && has_group => Some("its group"),
        _ => None,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::look;

    #[test]
    fn what_others_can_write_is_told_and_own_files_are_made_private() {
        let folder = tempfile::tempdir().unwrap();
        let (config, state) = (folder.path().join("setpoint.toml"), folder.path().join("state"));
        let (record, journal) = (state.join("state.json"), state.join("journal.jsonl"));
        std::fs::create_dir(&state).unwrap();
        for file in [&config, &record, &journal] {
            std::fs::write(file, "").unwrap();
        }
        let set = |path: &std::path::Path, mode: u32| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let own = [record.clone(), journal.clone(), state.join("none")];
        set(&config, 0o644);
        set(&state, 0o755);
        set(&record, 0o644);
        set(&journal, 0o600);
        assert_eq!(look(&config, &state, &own), []);
        assert_eq!((mode(&record), mode(&config)), (0o600, 0o644));
        set(&config, 0o666);
        set(&state, 0o777);
        set(&journal, 0o602);
        let told: Vec<String> = look(&config, &state, &own).into_iter().map(|one| one.message).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        for (told, path) in told.iter().zip([&config, &state, &journal]) {
            assert!(
                told.starts_with(&format!(
                    "{} can be written by everybody on this machine",
                    path.display()
                )),
                "{told}"
            );
        }
        assert_eq!((mode(&config), mode(&state), mode(&journal)), (0o666, 0o777, 0o600));
        set(&state, 0o1777);
        assert_eq!(
            look(&config, &state, &own).len(),
            1,
            "nobody exchanges the files of others in such a folder"
        );
    }
}

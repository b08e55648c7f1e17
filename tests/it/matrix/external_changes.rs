//! What other people do to a world, by chance: some of it undoes what was declared, some of it is nobody's business.

use setpoint::sandbox::world::{Application, FactoryIntegration, Source, User, UserState, Visibility, digest};
use setpoint::sandbox::{DROID_PASSWORD, World};

use super::declared::{Declared, PLACES, REDIRECT};
use super::rng::Rng;

/// One thing happens; what it was, in a word, for the report.
pub(super) fn change(world: &mut World, declared: &Declared, rng: &mut Rng) -> &'static str {
    match rng.below(4) {
        0 => to_the_application(world, declared, rng),
        1 => to_the_droid(world, declared, rng),
        2 => to_factory(world, rng),
        _ => to_gitlab(world, declared, rng),
    }
}

fn to_the_application(world: &mut World, declared: &Declared, rng: &mut Rng) -> &'static str {
    let named = |application: &&mut Application| application.name == declared.name;
    let what = rng.below(8);
    if what == 0 {
        world
            .applications
            .retain(|application| application.name != declared.name);
        return "application deleted";
    }
    if what == 1 {
        add_application(world, &declared.name, rng);
        return "application of the name made by somebody";
    }
    let Some(application) = world.applications.iter_mut().find(named) else {
        add_application(world, &declared.name, rng);
        return "application made by somebody";
    };
    match what {
        2 => {
            application.name.push_str(" (old)");
            "application renamed"
        }
        3 => {
            application.redirect_uri = format!("{REDIRECT}\nhttps://elsewhere.example.com/");
            "redirect URI added"
        }
        4 => {
            application.scopes.pop();
            "scope taken away"
        }
        5 => {
            application.confidential = !application.confidential;
            "confidential changed"
        }
        6 => {
            application.trusted = !application.trusted;
            "trusted changed"
        }
        _ => {
            application.secret_digest = digest("renewed by somebody");
            application.secret_plain = None;
            "secret renewed by somebody"
        }
    }
}

fn add_application(world: &mut World, name: &str, rng: &mut Rng) {
    let id = world.next_id("application");
    world.applications.push(Application {
        id,
        uid: format!("{:016x}", rng.next()).repeat(4),
        name: name.to_owned(),
        redirect_uri: REDIRECT.to_owned(),
        scopes: vec!["api".to_owned()],
        confidential: true,
        trusted: rng.percent(50),
        secret_digest: digest("a secret of somebody"),
        ..Application::default()
    });
}

/// The droid, under its name or one that it had.
pub(super) fn droid(world: &World, declared: &Declared) -> Option<u64> {
    std::iter::once(&declared.username)
        .chain(&declared.previously)
        .find_map(|name| world.user_named(name))
        .map(|user| user.id)
}

fn to_the_droid(world: &mut World, declared: &Declared, rng: &mut Rng) -> &'static str {
    let Some(id) = droid(world, declared) else {
        let id = world.next_id("user");
        let now = world.now();
        world.users.push(User {
            id,
            username: declared.username.clone(),
            name: "Made by hand".to_owned(),
            email: declared.email.to_owned(),
            confirmed_at: Some(now),
            password_digest: digest(DROID_PASSWORD),
            created_at: now,
            ..User::default()
        });
        return "droid made by hand";
    };
    let what = rng.below(9);
    if what == 0 {
        world.users.retain(|user| user.id != id);
        world.members.retain(|member| member.user_id != id);
        world.oauth_tokens.retain(|token| token.user_id != id);
        return "droid deleted";
    }
    if what == 1 {
        let place = rng.pick(&PLACES);
        let Some(source) = source(world, place) else {
            return "nothing";
        };
        world
            .members
            .retain(|member| member.user_id != id || member.source != source);
        return "membership withdrawn";
    }
    if what == 2 {
        let place = rng.pick(&PLACES);
        if let Some(source) = source(world, place) {
            world.set_member(source, id, *rng.pick(&[10, 20, 30, 40, 50]));
        }
        return "membership given or changed";
    }
    let Some(user) = world.user_mut(id) else {
        return "nothing";
    };
    match what {
        3 => {
            user.state = UserState::Blocked;
            "droid blocked"
        }
        4 => {
            user.state = UserState::Deactivated;
            "droid deactivated"
        }
        5 => {
            user.state = UserState::Banned;
            "droid banned"
        }
        6 => {
            "Somebody \u{1b}[2K else".clone_into(&mut user.name);
            "droid's name changed"
        }
        7 => {
            "elsewhere@example.com".clone_into(&mut user.email);
            "droid's address changed"
        }
        _ => {
            user.username = format!("{}-renamed", user.username);
            "droid renamed"
        }
    }
}

fn source(world: &World, place: &str) -> Option<Source> {
    let group = world.group_at(place).map(|group| Source::Group(group.id));
    group.or_else(|| world.project_at(place).map(|project| Source::Project(project.id)))
}

fn to_factory(world: &mut World, rng: &mut Rng) -> &'static str {
    let projects: Vec<u64> = world.projects.iter().map(|project| project.id).collect();
    let factory = &mut world.factory;
    let Some(integration) = &mut factory.integration else {
        factory.integration = Some(FactoryIntegration {
            domain: "https://gitlab.example.com".to_owned(),
            application_id: "f".repeat(64),
            secret: "typed in by somebody".to_owned(),
            ..FactoryIntegration::default()
        });
        return "an integration typed in by somebody";
    };
    match rng.below(7) {
        0 => {
            factory.integration = None;
            factory.enabled.clear();
            "integration deleted"
        }
        1 => {
            integration.authorization = None;
            "disconnected"
        }
        2 => {
            if let Some(authorization) = &mut integration.authorization {
                authorization.broken = Some("the token was revoked".to_owned());
            }
            for token in &mut world.oauth_tokens {
                token.revoked_at = Some(token.created_at);
            }
            "authorization broken"
        }
        3 => {
            if let Some(authorization) = &mut integration.authorization {
                authorization.user_id = 2;
                "zdvorak".clone_into(&mut authorization.username);
            }
            "authorized by somebody else"
        }
        4 => {
            "https://old.example.com".clone_into(&mut integration.domain);
            "domain changed"
        }
        _ => {
            for _ in 0..3 {
                let id = *rng.pick(&projects);
                if !factory.enabled.remove(&id) {
                    factory.enabled.insert(id);
                }
            }
            "repositories switched"
        }
    }
}

fn to_gitlab(world: &mut World, declared: &Declared, rng: &mut Rng) -> &'static str {
    let at = usize::try_from(rng.below(world.projects.len() as u64)).unwrap_or(0);
    match rng.below(7) {
        0 => {
            world.projects[at].archived = !world.projects[at].archived;
            "project archived, or brought back"
        }
        1 => {
            let from = world.projects[at].full_path.clone();
            world.move_project(&from, &format!("{from}-moved"));
            "project moved"
        }
        2 => {
            world.projects[at].visibility = *rng.pick(&[Visibility::Private, Visibility::Internal]);
            "project's visibility changed"
        }
        3 => {
            let path = "platform/services/new";
            if world.project_at(path).is_none() {
                world.add_project(path, "New", Visibility::Private);
            }
            "project added, unless it is there"
        }
        4 => {
            add_application(world, "Somebody else's", rng);
            "application of somebody else"
        }
        5 => {
            let droid = droid(world, declared);
            if let Some(user) = world
                .users
                .iter_mut()
                .find(|user| user.id == 2 && Some(user.id) != droid)
            {
                declared.email.clone_into(&mut user.email);
            }
            "address taken"
        }
        _ => {
            if droid(world, declared).is_none() && world.group_at(&declared.username).is_none() {
                world.add_group(&declared.username, "A group", Visibility::Private);
            }
            "name taken by a group, unless the droid has it"
        }
    }
}

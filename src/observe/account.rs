//! The droid's account: who it is, where it is a member, and who stands in its way.

use crate::gitlab::GitlabRead;
use crate::http::Result;
use crate::model::{Desired, DesiredUser, Known, NamespaceKind, ObservedMembership, ObservedUser, UserFields};

#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    pub(super) user: Option<ObservedUser>,
    pub(super) memberships: Vec<ObservedMembership>,
    pub(super) username_holder: Option<NamespaceKind>,
    pub(super) email_holder: Option<String>,
    /// Whether an account that is made now is an external one; asked where there is none yet.
    pub(super) are_external: Known<bool>,
}

/// Reads it. Holders of its name and address are looked for only where these would have to be set.
pub(super) async fn read(gitlab: &dyn GitlabRead, desired: &Desired) -> Result<Account> {
    let UserFields {
        username,
        name: _,
        email,
    } = &desired.user.fields;
    let user = find(gitlab, &desired.user).await?;
    let sets_username = user.as_ref().is_none_or(|user| user.fields.username != *username);
    let sets_email = user.as_ref().is_none_or(|user| user.fields.email != *email);
    let (memberships, username_holder, email_holder, are_external) = tokio::try_join!(
        async {
            match &user {
                Some(user) => gitlab.memberships(user.id).await,
                None => Ok(Vec::new()),
            }
        },
        async {
            if sets_username {
                gitlab.namespace_holder(username).await
            } else {
                Ok(None)
            }
        },
        async {
            if sets_email {
                gitlab.user_with_email(email).await
            } else {
                Ok(None)
            }
        },
        async {
            match &user {
                Some(_) => Ok(Known::Unknown),
                None => gitlab.accounts_are_external().await,
            }
        },
    )?;
    let own_name = user.as_ref().map(|user| &user.fields.username);
    let email_holder = email_holder.filter(|holder| own_name.is_none_or(|own| !own.eq_ignore_ascii_case(holder)));
    Ok(Account {
        user,
        memberships,
        username_holder,
        email_holder,
        are_external,
    })
}

/// The account of the declared username, else of the first previous one that has an account.
async fn find(gitlab: &dyn GitlabRead, desired: &DesiredUser) -> Result<Option<ObservedUser>> {
    let previously = desired.previously.iter().map(String::as_str);
    for username in std::iter::once(&*desired.fields.username).chain(previously) {
        if let Some(user) = gitlab.user(username).await? {
            return Ok(Some(user));
        }
    }
    Ok(None)
}

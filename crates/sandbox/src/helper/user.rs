//! Who an engine runs as: the user of the image's config, looked up in the image's own files the way Docker does.

/// A resolved user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups.
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
}

/// The highest id, as in Docker: it must fit a signed number.
const MAX_ID: u32 = i32::MAX as u32;
/// More groups than this are not believed.
const MAX_GROUPS: usize = 1000;

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// Resolves `""`, `uid`, `uid:gid`, `name`, `name:group` and mixtures. `passwd` and `group` are the image's files, empty if it has none.
///
/// # Errors
/// A sentence for the engine's log.
pub(crate) fn resolve(wanted: &str, passwd: &[u8], group: &[u8]) -> Result<User, String> {
    let passwd = String::from_utf8_lossy(passwd);
    let group = String::from_utf8_lossy(group);
    let (user, wanted_group) = wanted.split_once(':').unwrap_or((wanted, ""));
    let user = if user.is_empty() { "0" } else { user };
    let number = user.parse::<u32>().ok();
    let account = accounts(&passwd).find(|account| account.name == user || number == Some(account.uid));
    let uid = match (&account, number) {
        (Some(account), _) => account.uid,
        (None, Some(number)) => number,
        (None, None) => return Err(format!("the image's user {user:?} is not in its /etc/passwd")),
    };
    let mut found = User {
        uid,
        gid: account.as_ref().map_or(0, |account| account.gid),
        groups: Vec::new(),
        home: account.as_ref().map_or("/", |account| account.home).to_owned(),
    };
    if wanted_group.is_empty() {
        let name = account.as_ref().map_or("", |account| account.name);
        found.groups =
            groups(&group).filter(|(_, _, members)| !name.is_empty() && members.split(',').any(|m| m == name)).map(|g| g.1).collect();
        found.groups.truncate(MAX_GROUPS);
    } else {
        let number = wanted_group.parse::<u32>().ok();
        let entry = groups(&group).find(|(name, gid, _)| *name == wanted_group || number == Some(*gid));
        let gid = entry.map(|(_, gid, _)| gid).or(number);
        found.gid = gid.ok_or_else(|| format!("the image's group {wanted_group:?} is not in its /etc/group"))?;
    }
    if found.uid > MAX_ID || found.gid > MAX_ID {
        return Err(format!("the image's user {wanted:?} is out of range; ids go up to {MAX_ID}"));
    }
    if !found.home.starts_with('/') {
        found.home = "/".to_owned();
    }
    Ok(found)
}

fn accounts(passwd: &str) -> impl Iterator<Item = Account<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Account { name, uid, gid, home: fields.nth(1).unwrap_or("/") })
    })
}

fn groups(group: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some((name, gid, fields.next().unwrap_or("")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\nbroken line\napp:x:1000:1001:App:/home/app:/bin/sh\n7seven:x:70:70::relative:\n";
    const GROUP: &[u8] = b"root:x:0:\napps:x:1001:\naudio:x:29:other,app\nvideo:x:44:app,other\n";

    fn ids(wanted: &str) -> Result<(u32, u32, Vec<u32>), String> {
        resolve(wanted, PASSWD, GROUP).map(|u| (u.uid, u.gid, u.groups))
    }

    #[test]
    fn every_form_is_understood() {
        assert_eq!(ids(""), Ok((0, 0, vec![])));
        assert_eq!(ids("app"), Ok((1000, 1001, vec![29, 44])));
        assert_eq!(ids("1000"), Ok((1000, 1001, vec![29, 44])));
        assert_eq!(ids("1234"), Ok((1234, 0, vec![])));
        assert_eq!(ids("1234:5678"), Ok((1234, 5678, vec![])));
        assert_eq!(ids("app:audio"), Ok((1000, 29, vec![])), "a named group replaces the others");
        assert_eq!(ids("app:0"), Ok((1000, 0, vec![])));
        assert_eq!(ids(":audio"), Ok((0, 29, vec![])));
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert!(ids("ghost").unwrap_err().contains("\"ghost\""));
        assert!(ids("app:ghosts").unwrap_err().contains("\"ghosts\""));
        assert!(ids("4294967295").unwrap_err().contains("out of range"));
        assert!(ids("99999999999").is_err());
        assert!(ids("-1").is_err());
    }

    #[test]
    fn home_is_the_account_s_or_the_root() {
        let home = |wanted| resolve(wanted, PASSWD, GROUP).unwrap().home;
        assert_eq!((home("app"), home("4242"), home("7seven")), ("/home/app".to_owned(), "/".to_owned(), "/".to_owned()));
    }

    #[test]
    fn files_full_of_rubbish_do_no_harm() {
        assert_eq!(resolve("", b"\xff\xfe::::\n:::\n", b"\0").map(|u| u.uid), Ok(0));
    }
}

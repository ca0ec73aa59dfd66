//! Many builds in the database: how long the pages of an engine and of the queue take, and one decision until it is on the disk, with ten
//! thousand builds, a hundred thousand and a million, over 1,000 engines of one organization.
//!
//! `scripts/bench builds` prints the table. Rows are made by SQL; each build has a manifest and four lines of history; one in 25 waits for a
//! decision. Everything is asked over HTTP of the running server, by one client, engines at random.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use model::run::Exit;
use server::{Server, auth::session, config::Config, ops::first_start::FirstStart};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use store::{Db, accounts};

const ENGINES: i64 = 1_000;
const SIZES: [i64; 3] = [10_000, 100_000, 1_000_000];
const LOOKS: i64 = 1_000;
const DECISIONS: i64 = 300;
const EMAIL: &str = "ann@example.org";

/// Ids that look like random ones and are known from their number.
const ID: &str = "printf('%08x-%04x-4000-8000-%012x', (i * 2654435761) % 4294967296, (i * 40503) % 65536, i)";
const ENGINE: &str = "printf('%08x-0000-4000-9000-%012x', ((i % 1000) * 2654435761) % 4294967296, i % 1000)";

/// A size of the database, and what was measured with it, milliseconds.
struct Row {
    builds: i64,
    measured: Vec<(f64, f64)>,
}

/// The same numbers every time (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as i64
    }
}

/// Adds the builds with the numbers from `from` to `to`, and the engines with the first of them.
async fn fill(file: &Path, from: i64, to: i64) -> Result<()> {
    let options = SqliteConnectOptions::new().filename(file).pragma("cache_size", "-1000000").pragma("synchronous", "OFF");
    let mut db = options.connect().await?;
    let numbers = "WITH RECURSIVE n(i) AS (SELECT $1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $2)";
    let manifest = serde_json::json!({
        "engineId": "x", "category": "keyword", "engineMode": "chunk", "preferredInputFormat": "text/plain", "clusterSize": "small",
        "supportedInputFormats": ["text/plain", "application/json"], "outputFormats": ["application/json"], "initialConcurrency": 4,
        "maxConcurrency": 16, "externalCalls": [], "releaseNotes": "What changed in this version. ".repeat(10),
    });
    if from == 0 {
        let engines = format!(
            "{numbers} INSERT INTO engines (id, organization_id, name, description, category, deployment_model, extra, disabled, deleted,
                 last_version, created_by, created_at, modified_at)
             SELECT {ENGINE}, 1, 'Engine ' || i, 'One of many', 'keyword', 'FullyNetworkIsolated', '{{}}', 0, 0, 0, 'dev@example.org', i, i FROM n"
        );
        run(&mut db, engines, 0, ENGINES, "").await?;
    }
    // The fifth of some engines is live, and nothing runs for it here; one in 25 waits for a decision, and of one in a hundred a
    // refusal is appealed.
    let builds = format!(
        "{numbers} INSERT INTO builds (id, engine_id, version, status, repository, tag, digest, manifest, pushed_by, pushed_at, created_at,
             modified_at, organization_id, phase, submitted_at, submitted_by, appealed_at, deployed_at, errors, warnings)
         SELECT {ID}, {ENGINE}, i / 1000 + 1,
             CASE WHEN i / 1000 = 4 AND i % 100 = 0 THEN 'deployed' WHEN i % 25 = 7 THEN 'pending' WHEN i % 101 = 8 THEN 'disapproved'
                  WHEN i % 7 = 0 THEN 'invalid' WHEN i % 7 = 1 THEN 'deleted' WHEN i % 7 = 2 THEN 'approved' WHEN i % 7 = 3 THEN 'available'
                  ELSE 'paused' END,
             '1/engine-' || (i % 1000), 'v' || (i / 1000), 'sha256:' || printf('%064x', i), $3, 'dev@example.org', i, i, i, 1,
             CASE WHEN i % 25 = 7 THEN 'awaiting-approval' END, i, 'dev@example.org',
             CASE WHEN i % 101 = 8 THEN i END, i, 0, i % 3
         FROM n ORDER BY 1"
    );
    run(&mut db, builds, from, to, &manifest.to_string()).await?;
    let history = format!(
        "{numbers} INSERT INTO build_history (build_id, at, actor, event, from_status, to_status, reason)
         SELECT {ID}, i, 'dev@example.org', e.value, 'fetching', 'available', 'because it was so, and nobody minded' FROM n,
             json_each('[\"start\", \"phaseOk\", \"submit\", \"phaseOk\"]') e"
    );
    run(&mut db, history, from, to, "").await?;
    sqlx::query("UPDATE engines SET last_version = $1").bind(to / ENGINES).execute(&mut db).await?;
    Ok(db.close().await?)
}

async fn run(db: &mut SqliteConnection, statement: String, from: i64, to: i64, text: &str) -> Result<()> {
    let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(from).bind(to);
    if text.is_empty() {
        query.execute(db).await?
    } else {
        query.bind(text.to_owned()).execute(db).await?
    };
    Ok(())
}

/// A client that keeps its connection.
struct Client {
    stream: BufReader<TcpStream>,
    session: String,
}

impl Client {
    fn new(address: &str, session: String) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), session })
    }

    /// Sends a request; returns the body and how long it took, milliseconds.
    fn ask(&mut self, method: &str, path: &str, body: &str) -> Result<(String, f64)> {
        let begun = Instant::now();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: bench\r\nCookie: {}={}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            session::COOKIE,
            self.session,
            self.session,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (mut length, mut line, mut status) = (0, String::new(), String::new());
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            if status.is_empty() {
                status.clone_from(&line);
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        let took = begun.elapsed().as_secs_f64() * 1e3;
        let answer = String::from_utf8(answer)?;
        ensure!(status.contains(" 200 "), "{method} {path}: {status} {answer:.500}");
        Ok((answer, took))
    }

    fn query(&mut self, query: &str) -> Result<(String, f64)> {
        let (answer, took) = self.ask("POST", "/v3/graphql", &serde_json::json!({ "query": query }).to_string())?;
        ensure!(!answer.contains("\"errors\""), "{query}: {answer:.500}");
        Ok((answer, took))
    }
}

/// The middle and the slowest of a hundred.
fn summary(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn many(count: i64, mut one: impl FnMut(i64) -> Result<f64>) -> Result<(f64, f64)> {
    // What a server needs once, such as the plans of its statements, is not what is asked for.
    for n in 0..20 {
        one(n)?;
    }
    Ok(summary((20..20 + count).map(&mut one).collect::<Result<_>>()?))
}

fn measure(client: &mut Client, engines: &[String], pending: &[(String, String)], numbers: &mut Numbers) -> Result<Vec<(f64, f64)>> {
    let mut engine = || engines[numbers.below(ENGINES) as usize].clone();
    let page = many(LOOKS, |_| Ok(client.ask("GET", &format!("/engines/{}", engine()), "")?.1))?;
    let query = many(LOOKS, |_| {
        let fields =
            "state deployedVersion validStateActions manifest builds { records { version status primaryAction secondaryActions } }";
        Ok(client.query(&format!("{{ engine(id: \"{}\") {{ name {fields} }} }}", engine()))?.1)
    })?;
    let list = many(LOOKS, |n| Ok(client.ask("GET", &format!("/engines?page={}", 1 + n % 10), "")?.1))?;
    let queue = many(LOOKS, |_| Ok(client.ask("GET", "/review", "")?.1))?;
    let queued = many(LOOKS, |_| {
        let fields = "waitingSince dueDateTime turn estimate build { id version status validStateActions engine { name } }";
        let (answer, took) = client.query(&format!("{{ reviewQueue {{ count records {{ {fields} }} }} }}"))?;
        ensure!(answer.contains("\"count\":30"), "the queue is short: {answer:.300}");
        Ok(took)
    })?;
    let decision = many(DECISIONS, |n| {
        let (build, engine) = &pending[n as usize];
        let input = format!("{{id: \"{build}\", engineId: \"{engine}\", action: disapprove, reason: \"not now\"}}");
        Ok(client.query(&format!("mutation {{ updateEngineBuild(input: {input}) {{ status }} }}"))?.1)
    })?;
    Ok(vec![page, query, list, queue, queued, decision])
}

async fn start(data: &Path) -> Result<Server> {
    let mut config = Config { data: data.to_owned(), listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Config::default() };
    (config.api.token_requests, config.api.organization_requests) = (0, 0);
    let first = FirstStart { organization: Some(1), email: Some(EMAIL.into()), password: Some("a password of a bench".to_owned().into()) };
    server::start(config, &first, Arc::new(sandbox::fake::Fake::scripted(Vec::new(), Exit::Stopped))).await
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, file) = (folder.path().join("data"), folder.path().join("data/plimsoll.db"));
    start(&data).await?.stop().await;
    let (mut numbers, mut rows, mut filled) = (Numbers(1), Vec::new(), 0);
    for builds in SIZES {
        fill(&file, filled, builds).await?;
        filled = builds;
        let server = start(&data).await?;
        let db: &Db = &server.app.db;
        let user = accounts::user_by_email(db.read(), EMAIL).await?.context("the account of the first start")?;
        let token = session::begin(db, user.id).await.map_err(|problem| anyhow::anyhow!(problem.message()))?;
        let engines: Vec<String> = sqlx::query_scalar("SELECT id FROM engines").fetch_all(db.read()).await?;
        // Not of the first page, which is looked at as well.
        let pending: Vec<(String, String)> =
            sqlx::query_as("SELECT id, engine_id FROM builds WHERE status = 'pending' ORDER BY submitted_at DESC LIMIT $1")
                .bind(DECISIONS + 20)
                .fetch_all(db.read())
                .await?;
        let address = server.app.public_url.split_once("://").map_or("", |(_, rest)| rest).to_owned();
        let measured = tokio::task::spawn_blocking(move || {
            let mut client = Client::new(&address, token)?;
            let measured = measure(&mut client, &engines, &pending, &mut numbers)?;
            anyhow::Ok((measured, numbers))
        });
        let (measured, used) = measured.await??;
        numbers = used;
        rows.push(Row { builds, measured });
        server.stop().await;
    }
    print(&rows);
    Ok(())
}

fn print(rows: &[Row]) {
    let what = [
        "page of an engine",
        "engine with 30 builds, API",
        "page of engines",
        "page of the queue",
        "queue of 30, API",
        "a decision, on the disk",
    ];
    let sizes: Vec<String> = rows.iter().map(|row| row.builds.to_string()).collect();
    println!("milliseconds, median and 99th of 100, with so many builds of {ENGINES} engines");
    println!("| | {} |\n|---|{}", sizes.join(" | "), "---|".repeat(rows.len()));
    for (at, what) in what.into_iter().enumerate() {
        let cells: Vec<String> = rows.iter().map(|row| format!("{:.2}, {:.2}", row.measured[at].0, row.measured[at].1)).collect();
        println!("| {what} | {} |", cells.join(" | "));
    }
}

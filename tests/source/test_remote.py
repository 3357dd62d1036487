"""Files in other places than the local disk: the same rows, the same bits, and patience."""

from __future__ import annotations

import logging
import pickle
import threading
from collections import Counter
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import streamlearn as sl
from streamlearn.errors import MissingExtraError, SourceError, UsageError
from streamlearn.source.stores import files
from streamlearn.source.stores.retry import Breaker, Patience, is_transient
from streamlearn.testing import check_every_row_once


@pytest.fixture
def memory(mixed):
    """The mixed table in fsspec's memory, with a stray file beside it."""
    folder, table = mixed
    store = fsspec.filesystem("memory")
    for file in folder.iterdir():
        store.pipe(f"/bucket/{file.name}", file.read_bytes())
    store.pipe("/bucket/_SUCCESS", b"")
    store.pipe("/bucket/_old/part-0.parquet", b"not parquet")
    yield "memory://bucket", table
    store.rm("/bucket", recursive=True)


class Handler(SimpleHTTPRequestHandler):
    """Gives out files and ranges of them, and misbehaves as its server is told."""

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, *, body):
        server = self.server
        server.asked[self.command] += 1
        path = Path(server.folder) / self.path.lstrip("/")
        if path.is_dir():
            listing = "".join(f'<a href="{file.name}">x</a>' for file in sorted(path.iterdir()))
            return self._send(200, listing.encode(), body, {"Content-Type": "text/html"})
        if not path.exists():
            return self._send(404, b"", body)
        if self.command == "GET" and server.fail > 0:
            server.fail -= 1
            return self._send(server.status, b"", body)
        content = path.read_bytes()
        asked = self.headers.get("Range")
        if asked is None or not server.ranges:
            return self._send(200, content, body)
        start, _, stop = asked.removeprefix("bytes=").partition("-")
        part = content[int(start) : int(stop) + 1]
        server.sent += len(part)
        server.largest = max(server.largest, len(part))
        headers = {"Content-Range": f"bytes {start}-{stop}/{len(content)}"}
        if server.cut > 0:
            server.cut -= 1
            return self._send(206, part, body, headers, cut=True)
        return self._send(206, part, body, headers)

    def _send(self, status, content, body, headers=None, *, cut=False):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hash(content)}"')
        self.end_headers()
        if body:
            self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.close_connection = True


@pytest.fixture
def server(mixed):
    """The mixed table behind HTTP."""
    pytest.importorskip("aiohttp", reason="reading http:// needs the extra 'remote'")
    folder, _ = mixed
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.folder, server.asked = folder, Counter()
    server.fail = server.cut = server.sent = server.largest = 0
    server.status, server.ranges = 503, True
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def waits(monkeypatch):
    """Waits between tries, which take no time."""
    found = []
    monkeypatch.setattr(files, "PATIENCE", Patience(wait=found.append))
    return found


def rows_of(data):
    names = data.features.names
    parts = [c.X for f in data.fragments for c in data.read(f, names, 1_000)]
    return pa.Table.from_batches(parts)


@pytest.mark.parametrize("end", ["", "/", "/*.parquet", "/part-[01].parquet"])
def test_a_store_is_read_like_a_folder(memory, mixed, end):
    url, table = memory
    data = sl.scan(url + end, target="y", weight="w")
    check_every_row_once(data, (7, 1_000, 1_000_000))
    assert data.rows == len(table)
    local = sl.scan(mixed[0], target="y", weight="w")
    assert rows_of(data).equals(rows_of(local))
    assert data.cost(["flag"]).chunk_row_bytes == local.cost(["flag"]).chunk_row_bytes


def test_file_urls_are_local_files(mixed):
    folder, table = mixed
    data = sl.scan(f"file://{folder}/*.parquet", target="y")
    check_every_row_once(data, (1_000,))
    assert data.rows == len(table)


def test_one_list_may_name_several_stores(memory, mixed):
    url, _ = memory
    data = sl.scan([f"{url}/part-0.parquet", str(mixed[0] / "part-1.parquet")], target="y")
    assert rows_of(data).equals(rows_of(sl.scan(mixed[0], target="y")))


def test_partitions_in_urls_are_columns():
    store = fsspec.filesystem("memory")
    for year in (2022, 2023):
        with store.open(f"/hive/year={year}/a.parquet", "wb") as file:
            pq.write_table(pa.table({"x": [1.0]}), file)
    assert rows_of(sl.scan("memory://hive"))["year"].to_pylist() == [2022, 2023]
    store.rm("/hive", recursive=True)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memory://nowhere/a.parquet", "there is no such file"),
        ("memory://nowhere", "there is no such file"),
        ("memory://nowhere/*.parquet", "no file matches"),
        ("nothing://a/b.parquet", "no store of this kind"),
        ("file:///nowhere.parquet", "there is no such file"),
    ],
)
def test_what_is_not_there_is_named(url, message):
    with pytest.raises(SourceError, match=message) as caught:
        sl.scan(url)
    assert url in str(caught.value)


def test_what_cannot_be_read_from_afar_is_named():
    with pytest.raises(UsageError, match="memory://a.arrow: arrow files are read from the local"):
        sl.scan("memory://a.arrow")
    with pytest.raises(UsageError, match="chained URLs are not read"):
        sl.scan("simplecache::memory://a.parquet")


def test_a_store_whose_package_is_missing_is_named(monkeypatch):
    def missing(url):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(SourceError, match=r"s3://b/a.parquet: reading s3:// needs .*s3fs"):
        sl.scan("s3://b/a.parquet")
    with pytest.raises(MissingExtraError, match=r"aiohttp.*streamlearn\[remote\]"):
        sl.scan("https://example.org/a.parquet")


def test_a_file_that_changed_in_its_store_is_refused(memory):
    url, _ = memory
    data = sl.scan(url, target="y")
    before = data.source.fingerprint
    store = fsspec.filesystem("memory")
    store.pipe("/bucket/part-0.parquet", store.cat("/bucket/part-0.parquet"))
    with pytest.raises(SourceError, match=r"part-0.parquet: this file changed since"):
        rows_of(data)
    assert sl.scan(url).source.fingerprint != before


def test_http_gives_the_bits_of_the_local_file(server, mixed):
    folder, table = mixed
    remote = sl.scan(f"{server.url}/*.parquet", target="y", features=["distance", "zone"])
    assert remote.rows == len(table)
    local = sl.scan(folder, target="y", features=["distance", "zone"])
    pipeline = make_pipeline(StandardScaler(), SGDRegressor(random_state=0))
    models = [sl.fit(pipeline, data).estimator for data in (local, remote)]
    assert models[0][-1].coef_.tobytes() == models[1][-1].coef_.tobytes()
    assert models[0][-1].intercept_.tobytes() == models[1][-1].intercept_.tobytes()
    check_every_row_once(sl.scan(f"{server.url}/part-0.parquet"), (1_000,))


def test_only_what_is_asked_for_goes_over_the_network(server, tmp_path):
    rows = 400_000
    table = pa.table({f"n{at}": np.random.default_rng(at).normal(size=rows) for at in range(6)})
    pq.write_table(table, server.folder / "wide.parquet", row_group_size=rows // 2)
    data = sl.scan(f"{server.url}/wide.parquet", features=["n3"])
    server.sent = server.largest = 0
    whole = rows_of(data)
    assert whole["n3"].equals(table["n3"])
    assert server.sent < 1.3 * 8 * rows
    # A page, or a buffer: never a column, which is 1.6 MB a row group.
    assert server.largest <= 1_200_000


def test_passing_trouble_is_waited_out(server, waits, caplog):
    server.fail = 3
    with caplog.at_level(logging.WARNING, "streamlearn"):
        data = sl.scan(f"{server.url}/part-0.parquet", target="y")
        server.fail = 2
        check_every_row_once(data, (1_000,))
    assert len(waits) == 5
    assert waits[:2] == sorted(waits[:2])
    assert "503" in caplog.text
    assert "try 2 of 4" in caplog.text


def test_an_answer_cut_short_is_asked_for_again(server, waits):
    data = sl.scan(f"{server.url}/part-0.parquet", target="y")
    server.cut = 2
    check_every_row_once(data, (1_000,))
    assert len(waits) == 2


def test_trouble_that_does_not_pass_says_where_it_happened(server, waits):
    data = sl.scan(f"{server.url}/part-0.parquet", target="y")
    server.fail = 10**9
    with pytest.raises(SourceError) as caught:
        rows_of(data)
    message = str(caught.value)
    for part in (server.url, "part-0.parquet", "row group 0", "503", "4 times", "run again"):
        assert part in message
    assert len(waits) == 3


def test_a_store_that_only_fails_is_given_up_by_all_threads(server, waits):
    data = sl.scan(server.url + "/*.parquet", target="y")
    server.fail = 10**9
    errors = []

    def read(fragment):
        try:
            list(data.read(fragment, ["distance"], 1_000))
        except SourceError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=read, args=(part,)) for part in data.fragments]
    server.asked.clear()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == len(data.fragments)
    assert any("given up after" in message for message in errors)
    assert server.asked["GET"] < 16
    server.asked.clear()
    with pytest.raises(SourceError, match="given up after .* failures one after the other.*503"):
        rows_of(data)
    assert not server.asked


def test_a_server_without_ranges_is_refused(server, waits):
    server.ranges = False
    with pytest.raises(SourceError, match=r"does not give out parts of files.*download"):
        sl.scan(f"{server.url}/part-0.parquet")
    assert not waits


def test_a_missing_file_is_not_waited_for(server, waits):
    with pytest.raises(SourceError, match="there is no such file"):
        sl.scan(f"{server.url}/none.parquet")
    assert not waits


def test_a_breaker_counts_failures_in_a_row(monkeypatch):
    waited = []
    breaker = Breaker("s3://bucket", Patience(tries=3, most_failures=4, wait=waited.append))
    answers = iter([TimeoutError("late"), 1, OSError("reset"), OSError("reset"), OSError("reset")])

    def ask():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert breaker.call("a", ask) == 1
    with pytest.raises(SourceError, match="OSError: reset .tried 3 times; 1 request before"):
        breaker.call("b", ask)
    answers = iter([OSError("reset"), 5])
    with pytest.raises(SourceError, match="s3://bucket is given up after 4 failures"):
        breaker.call("c", ask)
    assert len(waited) == 3


def test_a_store_that_was_given_up_is_asked_again_after_a_rest():
    answers = iter([OSError("reset"), OSError("reset")])

    def ask():
        found = next(answers, 7)
        if isinstance(found, Exception):
            raise found
        return found

    patience = Patience(tries=2, most_failures=2, rest_s=0.0, wait=lambda _: None)
    breaker = Breaker("s3://bucket", patience)
    with pytest.raises(SourceError):
        breaker.call("a", ask)
    assert breaker.call("a", ask) == 7
    copy = pickle.loads(pickle.dumps(Breaker("s3://bucket", Patience())))
    assert copy.store == "s3://bucket"


def test_what_will_not_pass_is_no_passing_trouble():
    class StatusError(Exception):
        def __init__(self, status):
            self.status = status

    assert all(map(is_transient, [TimeoutError(), OSError(), StatusError(500), StatusError(429)]))
    lasting = [
        FileNotFoundError(),
        PermissionError(),
        ValueError(),
        StatusError(403),
        StatusError(404),
    ]
    assert not any(map(is_transient, lasting))

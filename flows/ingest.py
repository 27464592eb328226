"""New gateway logs into the store; a file that was taken before changes nothing."""

from prefect import flow, task

from fairlead import project
from fairlead.ingest import load


@task(retries=2, retry_delay_seconds=30)
def load_logs(paths: list[str]) -> dict[str, int]:
    """Take the files, folders and globs into the lake and count what became of their records."""
    done = load(project.find(), paths)
    return {"read": done.read, "stored": done.stored, "duplicates": done.duplicates, "quarantined": done.quarantined}


@flow(log_prints=True)
def ingest(paths: list[str]) -> dict[str, int]:
    """Take new gateway logs into the store; paths are relative to the project's folder."""
    counts = load_logs(paths)
    print(counts)
    return counts

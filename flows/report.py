"""The business report: one HTML file that opens offline."""

from prefect import flow, task

from fairlead import project, reports


@task(retries=2, retry_delay_seconds=60)
def render() -> str:
    """Write the report of what is in the store; give its path."""
    return str(reports.render(project.find()))


@flow(log_prints=True)
def report() -> str:
    """Write the business report."""
    path = render()
    print(path)
    return path

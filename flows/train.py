"""Build features, fit and gate every predictor, publish; what fails its gate or its audit changes nothing."""

from prefect import flow, task

from fairlead import evaluation, features, project, publish, training


@task(retries=2, retry_delay_seconds=60)
def build_features() -> dict[str, int]:
    """Rebuild the project's database and every feature table; give their rows."""
    return features.build(project.find())


@task(retries=1, retry_delay_seconds=60)
def fit() -> dict[str, str]:
    """Fit, gate and register every predictor of models/; give what became of each."""
    return {report.predictor: report.reason for report in training.train(project.find())}


@task(retries=1, retry_delay_seconds=60)
def publish_snapshot() -> int:
    """Tune the policy on training data, then publish the champions as one audited snapshot; give its version."""
    here = project.find()
    tuned = evaluation.tune(here)
    done = publish.publish(here, policy=tuned.policy, parameters=tuned.parameters, lineage=tuned.baselines)
    return done.version


@flow(log_prints=True)
def train() -> int:
    """Fit every predictor on what is in the store and publish the snapshot that gateways read."""
    print(build_features())
    print(fit())
    return publish_snapshot()

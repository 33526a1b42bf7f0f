"""An alias of a function on AWS Lambda as an environment; needs ``airflow-cd[aws]`` when it is used."""

from airflow_cd.targets.aws_lambda.target import LambdaTarget

__all__ = ["LambdaTarget"]

"""Former path of :mod:`airflow_voice_agents.bases.approval`, kept for stored DAGs."""

from airflow_voice_agents.bases.approval import PromotionApprovalOperator

__all__ = ["PromotionApprovalOperator"]

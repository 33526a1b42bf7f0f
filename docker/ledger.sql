-- Beside Airflow's database, on the same server: the ledger of Airflow CD.
CREATE DATABASE airflow_cd;

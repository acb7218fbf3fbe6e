# The CDS Hooks sidecar alone, without Airflow. Python 3.11 as in requirements.lock, and the versions of that file: a model
# is read by those that it was tested with.
FROM python:3.11-slim

# The user and group of Airflow's image, so that what its tasks publish can be read here.
RUN useradd --uid 50000 --gid 0 --no-create-home --shell /usr/sbin/nologin sidecar

COPY requirements-cds.txt /opt/sidecar/requirements-cds.txt
COPY requirements.lock /opt/sidecar/requirements.lock
RUN pip install --no-cache-dir -r /opt/sidecar/requirements-cds.txt -c /opt/sidecar/requirements.lock

# A named volume takes owner and mode of the folder that it covers.
RUN mkdir -m 0700 /opt/sidecar/state && chown 50000:0 /opt/sidecar/state

COPY plugins/screening /opt/sidecar/plugins/screening
COPY plugins/cds_hooks /opt/sidecar/plugins/cds_hooks
COPY include /opt/sidecar/include

# CDS_AUTH has no default: whoever starts it says who may ask.
ENV PYTHONPATH=/opt/sidecar/plugins PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1 \
    CDS_BIND=0.0.0.0:8091 CDS_STATE=/opt/sidecar/state
EXPOSE 8091
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8091/health/live', timeout=4)"]
USER sidecar
CMD ["python", "-m", "cds_hooks"]

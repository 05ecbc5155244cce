cd /tmp/sp/main; PYTHONPATH=/tmp/sp/main/src ONEPRICE_CACHE=/tmp/sp/cm /work/main/.venv/bin/python /tmp/sp/b.py "$@" | python3 -c "
import json,sys
d=json.load(sys.stdin); print(d['r'].split('figure=')[1].split(',')[0]); print({k:v for k,v in d.items() if k!='r'})"

"""Prints each finished sentence, and how it was understood.  Needs pyzmq; hearsee runs somewhere else."""

import json

import zmq

socket = zmq.Context().socket(zmq.SUB)
socket.connect("tcp://127.0.0.1:5556")
socket.subscribe("transcript.final")

while True:
    topic, body = socket.recv_multipart()
    said = json.loads(body)
    if not said["repeat"]:  # sent again for another subscriber
        print(f"{said['text']} ({said['mode']})", flush=True)

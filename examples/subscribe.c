// Prints the body of each finished sentence, in JSON.  cc subscribe.c -lzmq -o subscribe
#include <stdio.h>
#include <zmq.h>

int main(void) {
    void *socket = zmq_socket(zmq_ctx_new(), ZMQ_SUB);
    zmq_connect(socket, "tcp://127.0.0.1:5556");
    zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "transcript.final", 16);
    for (zmq_msg_t part; zmq_msg_init(&part) == 0 && zmq_msg_recv(&part, socket, 0) >= 0; zmq_msg_close(&part))
        if (!zmq_msg_more(&part))  // the first part is the topic, the last one the body
            printf("%.*s\n", (int)zmq_msg_size(&part), (char *)zmq_msg_data(&part)), fflush(stdout);
    return 1;
}

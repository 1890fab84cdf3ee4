# Listens on ports of both families until its standard input ends, and tells whoever connects who answered.
#
#   answer.pl NAME PROTOCOL:PORT[:HOW]...
#
# Without HOW it answers itself. The others connect to where the client wanted to go, and tell that and the answer:
#   forward      from 127.0.0.6 or ::6, as Istio's sidecar does inbound
#   outward      from an address that the kernel chooses
#   transparent  from the client's address, listening as TPROXY wants it
# and of UDP, any listens on all addresses instead of loopback alone.
use strict;
use warnings;
use Socket qw(:DEFAULT inet_pton inet_ntop pack_sockaddr_in6 unpack_sockaddr_in6 AF_INET6 IPPROTO_IPV6 IPV6_V6ONLY);
use constant { SOL_IP => 0, SOL_IPV6 => 41, SO_ORIGINAL_DST => 80, SO_MARK => 36 };
use constant { IP_TRANSPARENT => 19, IPV6_TRANSPARENT => 75 };
use constant { SIDECAR_MARK => 1337, SECONDS => 3 };

# With rules that send the sidecar to itself there is no end to it.
use constant MAX_CONNECTIONS => 200;

$| = 1;
$SIG{CHLD} = 'IGNORE';
my ( $name, @specs ) = @ARGV;
my %own;
my $connections = 0;
my @listeners = map { listeners( split /:/ ) } @specs;
print "ready\n";

while (1) {
    my $bits = '';
    vec( $bits, fileno($_), 1 ) = 1 for *STDIN, map { $_->{socket} } @listeners;
    next unless select( $bits, undef, undef, undef ) > 0;
    exit 0 if vec( $bits, fileno(STDIN), 1 );
    for my $listener (@listeners) {
        next unless vec( $bits, fileno( $listener->{socket} ), 1 );
        $listener->{protocol} eq 'udp' ? answer_datagram($listener) : answer_connection($listener);
    }
}

sub listeners {
    my ( $protocol, $port, $how ) = @_;
    $own{$port} = 1;
    return map {
        { socket => listening( $_, $protocol, $port, $how // '' ), protocol => $protocol, port => $port, how => $how // '', v6 => $_ }
    } 0, 1;
}

sub listening {
    my ( $v6, $protocol, $port, $how ) = @_;
    my $socket = opened( $v6, $protocol );
    setsockopt( $socket, SOL_SOCKET, SO_REUSEADDR, 1 ) or die "reuse: $!";
    setsockopt( $socket, IPPROTO_IPV6, IPV6_V6ONLY, 1 ) or die "v6only: $!" if $v6;
    make_transparent( $socket, $v6 ) if $how eq 'transparent';

    # A datagram's answer must come from the address that NAT gave its question.
    my $everywhere = $protocol eq 'tcp' || $how eq 'any';
    my $host = $everywhere ? ( $v6 ? '::' : '0.0.0.0' ) : ( $v6 ? '::1' : '127.0.0.1' );
    bind( $socket, packed( $host, $port ) ) or die "$port: $!";
    listen( $socket, 64 ) or die "$port: $!" if $protocol eq 'tcp';
    return $socket;
}

sub answer_datagram {
    my ($listener) = @_;
    my $from = recv( $listener->{socket}, my $question, 512, 0 );
    send( $listener->{socket}, "$name:$listener->{port}", 0, $from ) if defined $from;
}

sub answer_connection {
    my ($listener) = @_;
    my $peer = accept( my $connection, $listener->{socket} ) or return;
    return if ++$connections > MAX_CONNECTIONS || fork() != 0;
    my ($client) = place($peer);
    my $answer = "$name:$listener->{port} ";
    if ( $listener->{how} eq '' ) { $answer .= "from $client" }
    else {
        my ( $host, $port ) = wanted( $connection, $listener->{v6} );
        $answer .= "for $host $port, " . onward( $listener, $host, $port, $client );
    }
    syswrite $connection, "$answer\n";
    shutdown( $connection, 1 );
    $SIG{ALRM} = 'DEFAULT';
    alarm SECONDS;
    sysread $connection, my $rest, 1;
    exit 0;
}

# TPROXY leaves the destination as it was; what came by NAT arrived at a port of ours.
sub wanted {
    my ( $connection, $v6 ) = @_;
    my @arrived = place( getsockname($connection) );
    return @arrived unless $own{ $arrived[1] };
    my $before = getsockopt( $connection, $v6 ? SOL_IPV6 : SOL_IP, SO_ORIGINAL_DST );
    return defined $before ? place($before) : @arrived;
}

sub onward {
    my ( $listener, $host, $port, $client ) = @_;
    my ( $how, $v6 ) = @{$listener}{qw(how v6)};
    return 'loop' if $own{$port};
    my $socket = opened( $v6, 'tcp' );
    my $source = $how eq 'forward' ? ( $v6 ? '::6' : '127.0.0.6' ) : $how eq 'transparent' ? $client : undef;
    if ( $how eq 'transparent' ) {
        make_transparent( $socket, $v6 );
        setsockopt( $socket, SOL_SOCKET, SO_MARK, SIDECAR_MARK ) or return "mark: $!";
    }
    if ( defined $source ) { bind( $socket, packed( $source, 0 ) ) or return "bind: $!" }
    local $SIG{ALRM} = sub { die "nothing\n" };
    alarm SECONDS;
    my $answer = eval { connect( $socket, packed( $host, $port ) ) or die "$!\n"; <$socket> // "nothing\n" } // $@;
    alarm 0;
    chomp $answer;
    return $answer;
}

sub opened {
    my ( $v6, $protocol ) = @_;
    socket( my $socket, $v6 ? AF_INET6 : AF_INET, $protocol eq 'tcp' ? SOCK_STREAM : SOCK_DGRAM, 0 ) or die "socket: $!";
    return $socket;
}

sub make_transparent {
    my ( $socket, $v6 ) = @_;
    my @option = $v6 ? ( SOL_IPV6, IPV6_TRANSPARENT ) : ( SOL_IP, IP_TRANSPARENT );
    setsockopt( $socket, $option[0], $option[1], 1 ) or die "transparent: $!";
}

sub packed {
    my ( $host, $port ) = @_;
    return $host =~ /:/ ? pack_sockaddr_in6( $port, inet_pton( AF_INET6, $host ) ) : pack_sockaddr_in( $port, inet_aton($host) );
}

# Host and port of a socket's address.
sub place {
    my ($address) = @_;
    my $v6 = unpack( 'S', $address ) == AF_INET6;
    my $exact = substr $address, 0, $v6 ? 28 : 16;
    my ( $port, $host ) = $v6 ? unpack_sockaddr_in6($exact) : unpack_sockaddr_in($exact);
    return ( inet_ntop( $v6 ? AF_INET6 : AF_INET, $host ), $port );
}
